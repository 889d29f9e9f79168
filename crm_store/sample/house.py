"""What is true of the sample mall: facts, hours, promotions, in four languages.

Owns the words only; sample/shop.py writes them. They are spoken, so numbers in them are few.
"""

# ruff: noqa: E501 - a Chinese line is counted at twice its letters

from __future__ import annotations

from datetime import date, time, timedelta

from crm_store.phone_menus.opening_hours import Calendar, Hours, SpecialDays
from crm_store.sample.catalogue import CURRENCY, four
from crm_store.shop.house import CardProof, House, Question
from crm_store.shop.promotions import Promotion

HOUSE = House(
    names=four("Jade Gate Mall", "玉门商场", "Centro comercial Puerta de Jade", "مرکز خرید دروازهٔ یشم"),
    currency=CURRENCY,
    time_zone="Asia/Shanghai",
    holiday_country="CN",
    points_worth_minor_per_100=100,
    points_valid_months=24,
    points_expiry_notice_days=30,
    card_proof=CardProof.NUMBER_OR_PIN,
    texts={
        "address": four(
            "Jade Gate Mall, 88 Century Avenue, Shanghai.",
            "玉门商场，上海市世纪大道88号。",
            "Centro comercial Puerta de Jade, avenida del Siglo 88, Shanghái.",
            "مرکز خرید دروازهٔ یشم، شانگهای، خیابان قرن، شمارهٔ ۸۸.",
        ),
        "how_to_get_there": four(
            "Metro line 2 to Century Avenue, exit 6. Buses 81 and 130 stop in front of the house.",
            "乘地铁2号线到世纪大道站，6号口出。81路和130路公交车在商场门口停靠。",
            "Línea 2 de metro hasta Century Avenue, salida 6. Los autobuses 81 y 130 paran delante.",
            "خط ۲ مترو تا ایستگاه خیابان قرن، خروجی ۶. اتوبوس‌های ۸۱ و ۱۳۰ روبه‌روی مرکز می‌ایستند.",
        ),
        "parking": four(
            "You park on levels B2 and B3. With the member card three hours are free, then it is five yuan an hour.",
            "停车场在地下二层和三层。凭会员卡免费停车三小时，之后每小时五元。",
            "Se aparca en las plantas B2 y B3. Con la tarjeta de socio, tres horas gratis; después, cinco yuanes la hora.",
            "پارکینگ در طبقه‌های B2 و B3 است. با کارت عضویت سه ساعت رایگان است و سپس ساعتی پنج یوان.",
        ),
        "dining": four(
            "Thirty restaurants and cafés are on the fifth and sixth floors. They are open until 23:00.",
            "五层和六层有三十家餐厅和咖啡馆，营业到23点。",
            "Hay treinta restaurantes y cafés en las plantas quinta y sexta, abiertos hasta las 23:00.",
            "سی رستوران و کافه در طبقه‌های پنجم و ششم تا ساعت ۲۳ باز هستند.",
        ),
        "medical": four(
            "First aid is beside the service desk on the ground floor. In an emergency call 120.",
            "医务室在一层服务台旁边。紧急情况请拨打120。",
            "El botiquín está junto al mostrador de la planta baja. En una emergencia llame al 120.",
            "کمک‌های اولیه کنار پیشخوان خدمات در طبقهٔ همکف است. در موارد اضطراری با ۱۲۰ تماس بگیرید.",
        ),
        "cards_accepted": four(
            "We take UnionPay, Visa, Mastercard, Alipay, WeChat Pay and our own gift cards.",
            "我们接受银联、Visa、万事达、支付宝、微信支付和本商场礼品卡。",
            "Aceptamos UnionPay, Visa, Mastercard, Alipay, WeChat Pay y nuestras tarjetas regalo.",
            "یونیون‌پی، ویزا، مسترکارت، علی‌پی، وی‌چت‌پی و کارت هدیهٔ خودمان را می‌پذیریم.",
        ),
        "places": four(
            "Jewellery and telephones are on the ground floor, fashion on the second, furniture and kitchen on the third, the supermarket is in the basement.",
            "一层是珠宝和手机，二层是服装，三层是家具和厨具，超市在地下一层。",
            "Joyería y telefonía en la planta baja, moda en la segunda, muebles y cocina en la tercera; el supermercado está en el sótano.",
            "جواهر و تلفن در طبقهٔ همکف، پوشاک در طبقهٔ دوم، مبلمان و آشپزخانه در طبقهٔ سوم و فروشگاه مواد غذایی در زیرزمین است.",
        ),
    },
    survey=(
        Question("satisfied", four(
            "How content are you with this call?",
            "您对本次通话满意吗？",
            "¿Qué tan satisfecho está con esta llamada?",
            "از این تماس چقدر راضی هستید؟",
        )),
        Question("settled", four(
            "Has your matter been settled?",
            "您的问题解决了吗？",
            "¿Se ha resuelto su asunto?",
            "آیا کار شما انجام شد؟",
        )),
    ),
    sms_sender="JadeGate",
)  # fmt: skip


def _daily(opens: time, closes: time) -> tuple[tuple[Hours, ...], ...]:
    return ((Hours(opens, closes),),) * 7


_NEW_YEARS_EVES = (date(2026, 2, 16), date(2027, 2, 5), date(2028, 1, 25), date(2029, 2, 12))
_EVE = four("Spring Festival's eve", "除夕", "la víspera del Año Nuevo chino", "شب عید بهار")

CALENDARS = {
    "house": Calendar(
        titles=four("The house", "商场", "El centro", "مرکز خرید"),
        weekly=_daily(time(10), time(22)),
        special=tuple(
            SpecialDays(eve, eve, (Hours(time(10), time(17)),), _EVE) for eve in _NEW_YEARS_EVES
        ),
        on_holidays=None,
    ),
    "supermarket": Calendar(
        titles=four("Supermarket", "超市", "Supermercado", "فروشگاه مواد غذایی"),
        weekly=_daily(time(8, 30), time(22)),
        on_holidays=None,
    ),
    "restaurants": Calendar(
        titles=four("Restaurants", "餐厅", "Restaurantes", "رستوران‌ها"),
        weekly=_daily(time(10), time(23)),
        on_holidays=None,
    ),
    "agents": Calendar(
        titles=four("The telephone", "电话客服", "Atención telefónica", "پاسخ‌گویی تلفنی"),
        on_holidays=None,
    ),
    "leasing": Calendar(
        titles=four("Leasing office", "招商部", "Oficina de alquiler", "دفتر اجارهٔ غرفه"),
        weekly=((Hours(time(9), time(18)),),) * 5 + ((),) * 2,
        on_holidays=(),
    ),
}
"""By code. The telephone is answered at any hour, so that the mall can be tried at any hour."""


def promotions(day: date) -> tuple[Promotion, ...]:
    """What is offered around that day: two on it, one over, one to come."""
    return (
        Promotion(
            code="double_points",
            titles=four("Double points", "双倍积分", "Puntos dobles", "امتیاز دو برابر"),
            texts=four(
                "Double points on all clothing and shoes.",
                "服装鞋帽全场双倍积分。",
                "Puntos dobles en toda la ropa y el calzado.",
                "امتیاز دو برابر برای همهٔ پوشاک و کفش.",
            ),
            first_day=day - timedelta(days=3),
            last_day=day + timedelta(days=60),
            position=1,
        ),
        Promotion(
            code="tea",
            titles=four("Tea week", "茶叶周", "Semana del té", "هفتهٔ چای"),
            texts=four(
                "A fifth off all teas in the supermarket.",
                "超市茶叶八折。",
                "Un veinte por ciento de descuento en todos los tés del supermercado.",
                "بیست درصد تخفیف همهٔ چای‌های فروشگاه.",
            ),
            first_day=day,
            last_day=day + timedelta(days=6),
            position=2,
        ),
        Promotion(
            code="summer",
            titles=four("Summer sale", "夏季特卖", "Rebajas de verano", "حراج تابستانی"),
            texts=four(
                "Half price on summer clothes.",
                "夏装半价。",
                "Ropa de verano a mitad de precio.",
                "لباس‌های تابستانی نصف قیمت.",
            ),
            first_day=day - timedelta(days=90),
            last_day=day - timedelta(days=60),
            position=3,
        ),
        Promotion(
            code="new_year",
            titles=four("New Year", "新年", "Año Nuevo", "سال نو"),
            texts=four(
                "A gift with every purchase above one thousand yuan.",
                "购物满一千元赠送礼品。",
                "Un regalo con cada compra de más de mil yuanes.",
                "با هر خرید بالای هزار یوان یک هدیه.",
            ),
            first_day=day + timedelta(days=70),
            last_day=day + timedelta(days=84),
            position=4,
        ),
    )
