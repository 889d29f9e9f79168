"""What a product costs and where how many are, by its item number."""

from __future__ import annotations

from crm_store.shop import catalogue
from crm_store.shop.catalogue import Product
from ivr.conversation.conversation import (
    MOST_MISTAKES,
    Conversation,
    Sentence,
    TooManyMistakes,
)
from ivr.menus.back_office import BackOffice
from ivr.menus.values import Count, Money, Name


async def tell_product(talk: Conversation, office: BackOffice) -> None:
    """Tell the price and the stock of the item that the caller keys."""
    product = await _keyed_product(talk, office)
    language = talk.language
    told = [
        Sentence(
            "product_price",
            {
                "name": Name(product.name(language)),
                "money": Money(product.price_minor, product.currency),
            },
        )
    ]
    in_stock = [(place, quantity) for place, quantity in product.stock if quantity > 0]
    told += [
        Sentence(
            "product_stock",
            {
                "place": Name(product.place(place, language)),
                "quantity": Count(quantity, feminine=True),
            },
            count=quantity,
        )
        for place, quantity in in_stock
    ]
    if not in_stock:
        told.append(Sentence("product_out_of_stock"))
    await talk.say_all(told)


async def _keyed_product(talk: Conversation, office: BackOffice) -> Product:
    for _ in range(MOST_MISTAKES):
        number = await talk.ask_digits(
            "products_ask", least=catalogue.SHORTEST, most=catalogue.LONGEST
        )
        product = await office.look_up(catalogue.product(office.database, number))
        if product is not None:
            return product
        await talk.say("products_unknown")
    raise TooManyMistakes
