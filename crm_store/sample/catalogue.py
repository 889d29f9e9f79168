"""What the sample mall sells: goods with prices and stock, in English, Chinese, Spanish, Persian.

Owns the words and numbers only; sample/shop.py writes them. Prices are in fen.
"""

# ruff: noqa: E501 - a Chinese line is counted at twice its letters

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CURRENCY = "CNY"

PLACES = {
    "ground_floor": ("ground floor", "一层", "planta baja", "طبقهٔ همکف"),
    "second_floor": ("second floor", "二层", "segunda planta", "طبقهٔ دوم"),
    "third_floor": ("third floor", "三层", "tercera planta", "طبقهٔ سوم"),
    "supermarket": ("supermarket", "超市", "supermercado", "فروشگاه مواد غذایی"),
    "warehouse": ("warehouse", "仓库", "almacén", "انبار"),
}
"""(English, Chinese, Spanish, Persian) by code, in order."""

_GOODS = """
1001|129900|Winter coat, dark blue|深蓝色冬季外套|Abrigo de invierno azul oscuro|پالتوی زمستانی سرمه‌ای|second_floor 7, warehouse 40
1002|89950|Wool jumper|羊毛衫|Jersey de lana|پلیور پشمی|second_floor 12
1003|45900|Linen shirt|亚麻衬衫|Camisa de lino|پیراهن کتان|second_floor 23
1004|39900|Jeans|牛仔裤|Vaqueros|شلوار جین|second_floor 31, warehouse 80
1005|59990|Silk scarf|丝巾|Pañuelo de seda|روسری ابریشمی|ground_floor 15
1006|79900|Leather belt|皮带|Cinturón de cuero|کمربند چرمی|ground_floor 9
1007|149900|Running shoes|跑步鞋|Zapatillas para correr|کفش دویدن|third_floor 18, warehouse 60
1008|219900|Winter boots|冬靴|Botas de invierno|چکمهٔ زمستانی|third_floor 4
1009|9990|Cotton socks, three pairs|棉袜三双装|Calcetines de algodón, tres pares|سه جفت جوراب نخی|second_floor 120
1010|69900|Umbrella|雨伞|Paraguas|چتر|ground_floor 26
2001|329900|Rice cooker|电饭煲|Olla arrocera|پلوپز|third_floor 11, warehouse 25
2002|24950|Electric kettle|电热水壶|Hervidor eléctrico|کتری برقی|third_floor 34
2003|459900|Vacuum cleaner|吸尘器|Aspiradora|جاروبرقی|third_floor 6, warehouse 14
2004|89900|Desk lamp|台灯|Lámpara de escritorio|چراغ رومیزی|third_floor 20
2005|1299900|Washing machine|洗衣机|Lavadora|ماشین لباس‌شویی|warehouse 8
2006|799900|Television, 55 inches|55英寸电视机|Televisor de 55 pulgadas|تلویزیون ۵۵ اینچ|third_floor 3, warehouse 12
2007|599900|Mobile telephone|手机|Teléfono móvil|تلفن همراه|ground_floor 22
2008|19900|Charging cable|充电线|Cable de carga|کابل شارژ|ground_floor 75
2009|129900|Headphones|耳机|Auriculares|هدفون|ground_floor 17
2010|349900|Coffee machine|咖啡机|Cafetera|قهوه‌ساز|third_floor 5
3001|4599900|Sofa, three seats|三人沙发|Sofá de tres plazas|مبل سه‌نفره|warehouse 2
3002|1899900|Dining table|餐桌|Mesa de comedor|میز غذاخوری|third_floor 1, warehouse 6
3003|349900|Chair|椅子|Silla|صندلی|third_floor 16, warehouse 48
3004|2499900|Bed, 180 centimetres|1米8双人床|Cama de 180 centímetros|تخت ۱۸۰ سانتی|warehouse 4
3005|59900|Bed linen|床上用品套装|Juego de sábanas|سرویس ملحفه|third_floor 27
3006|29900|Pillow|枕头|Almohada|بالش|third_floor 45
3007|199900|Carpet|地毯|Alfombra|فرش|third_floor 8
3008|15950|Porcelain tea cup|瓷茶杯|Taza de té de porcelana|فنجان چای چینی|third_floor 64
4001|6880|Green tea, 250 grams|绿茶250克|Té verde, 250 gramos|چای سبز ۲۵۰ گرمی|supermarket 90
4002|3990|Rice, 5 kilograms|大米5公斤|Arroz, 5 kilos|برنج پنج کیلویی|supermarket 150
4003|12850|Olive oil, one litre|橄榄油1升|Aceite de oliva, un litro|روغن زیتون یک لیتری|supermarket 40
4004|2590|Milk, one litre|牛奶1升|Leche, un litro|شیر یک لیتری|supermarket 200
4005|19900|Birthday cake|生日蛋糕|Tarta de cumpleaños|کیک تولد|supermarket 6
4006|8990|Saffron, one gram|藏红花1克|Azafrán, un gramo|زعفران یک گرمی|supermarket 35
4007|5850|Pistachios, 500 grams|开心果500克|Pistachos, 500 gramos|پستهٔ ۵۰۰ گرمی|supermarket 58
4008|1290|Mineral water, six bottles|矿泉水六瓶装|Agua mineral, seis botellas|شش بطری آب معدنی|supermarket 300
5001|39900|Face cream|面霜|Crema facial|کرم صورت|ground_floor 33
5002|68000|Perfume|香水|Perfume|عطر|ground_floor 14
5003|25900|Children's bicycle helmet|儿童自行车头盔|Casco infantil de bicicleta|کلاه دوچرخهٔ کودک|second_floor 0
5004|15900|Building blocks|积木|Bloques de construcción|آجرک بازی|second_floor 42
5005|99900|Gift card|礼品卡|Tarjeta regalo|کارت هدیه|ground_floor 500
5006|32900|Chess set|国际象棋|Ajedrez|شطرنج|second_floor 10
"""


@dataclass(frozen=True, slots=True)
class SampleProduct:
    item_number: str
    price_minor: int
    names: dict[str, str]
    stock: tuple[tuple[str, int], ...]


def four(en: str, zh: str, es: str, fa: str) -> dict[str, str]:
    """Texts by language."""
    return {"en": en, "zh": zh, "es": es, "fa": fa}


def goods() -> Iterator[SampleProduct]:
    """All that is sold."""
    for line in _GOODS.strip().splitlines():
        number, price, en, zh, es, fa, places = line.split("|")
        stock = tuple(
            (place, int(quantity))
            for place, quantity in (entry.split() for entry in places.split(", "))
        )
        yield SampleProduct(number, int(price), four(en, zh, es, fa), stock)
