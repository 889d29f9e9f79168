from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store import text_search
from crm_store.database import Database
from crm_store.models import Severity
from crm_store.people import complaints, customers
from crm_store.people.cards import check_digit
from crm_store.people.complaints import complaint_number, shown_number
from crm_store.people.customers import NewCustomer

pytestmark = pytest.mark.db


async def test_a_complaint_is_found_by_its_number(database: Database) -> None:
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
        number = await complaints.file(
            transaction,
            "电梯坏了",
            actor="lin",
            customer_id=wang,
            category="premises",
            severity=Severity.HIGH,
        )
    assert complaint_number(shown_number(number)) == number
    [found] = await text_search.search(database, shown_number(number))
    [filed] = await complaints.of_customer(database, wang)
    assert (found.row_id, filed.number, filed.severity) == (filed.id, number, Severity.HIGH)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"text": " "}, ValueError),
        ({"text": "late", "category": "weather"}, ValueError),
        ({"text": "late", "customer_id": 99}, LookupError),
    ],
)
async def test_what_makes_no_sense_is_refused(
    database: Database, values: dict[str, object], error: type[Exception]
) -> None:
    async with database.transaction() as transaction:
        with pytest.raises(error):
            await complaints.file(transaction, actor="lin", **values)  # type: ignore[arg-type]


@given(digits=st.text("0123456789", min_size=7, max_size=7), place=st.integers(0, 7))
def test_one_wrong_digit_is_nobodys_number(digits: str, place: int) -> None:
    number = digits + check_digit(digits)
    wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
    assert complaint_number(f"{number[:4]}-{number[4:]}") == number
    assert complaint_number(wrong) is None
    assert complaint_number(number[:-1]) is None
