"""What the sample mall knows: articles and canned texts in English, Chinese, Spanish and Persian.

Owns the words only; sample_knowledge.py writes them.
"""

# ruff: noqa: E501 - a Chinese line is counted at twice its letters

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SampleArticle:
    """`words` are (title, body) by language; `review_days` from the day it is written, negative for
    one that is overdue."""

    owner: str
    review_days: int
    words: dict[str, tuple[str, str]]
    queues: tuple[str, ...] = ()


def _four(
    en: tuple[str, str], zh: tuple[str, str], es: tuple[str, str], fa: tuple[str, str]
) -> dict[str, tuple[str, str]]:
    return {"en": en, "zh": zh, "es": es, "fa": fa}


ARTICLES = (
    SampleArticle("maria", 120, _four(
        ("Returning and exchanging goods",
         ("Within **30 days**, unused, with the receipt or the member card.\n\n"
         "1. Ask for the receipt or card number.\n2. Choose *exchange* or *money back*.\n"
         "3. Money goes back the way it was paid, within 5 working days.\n\n"
         "| Goods | Days |\n|---|---|\n| Clothing, shoes | 30 |\n| Electronics, sealed | 14 |\n"
         "| Food, cosmetics, underwear | no return |\n\n"
         "> Without receipt and card: a voucher at today's price, once.")),
        ("退货与换货",
         ("**30 天内**，未使用，凭小票或会员卡办理。\n\n"
         "1. 请顾客提供小票或会员卡号。\n2. 选择*换货*或*退款*。\n3. 退款按原付款方式，5 个工作日内到账。\n\n"
         "| 商品 | 天数 |\n|---|---|\n| 服装、鞋 | 30 |\n| 未拆封电子产品 | 14 |\n"
         "| 食品、化妆品、内衣 | 不可退 |\n\n> 没有小票也没有会员卡：按当日价格给代金券，限一次。")),
        ("Cambios y devoluciones",
         ("En **30 días**, sin usar, con el tique o la tarjeta de socio.\n\n"
         "1. Pida el tique o el número de tarjeta.\n2. Elija *cambio* o *reembolso*.\n"
         "3. El dinero vuelve por la misma vía, en 5 días hábiles.\n\n"
         "| Artículo | Días |\n|---|---|\n| Ropa y calzado | 30 |\n| Electrónica precintada | 14 |\n"
         "| Alimentos, cosmética, ropa interior | sin devolución |\n\n"
         "> Sin tique ni tarjeta: un vale al precio de hoy, una sola vez.")),
        ("برگشت و تعویض کالا",
         ("تا **۳۰ روز**، استفاده‌نشده، با رسید یا کارت عضویت.\n\n"
         "1. رسید یا شمارهٔ کارت را بپرسید.\n2. *تعویض* یا *پس دادن پول* را انتخاب کنید.\n"
         "3. پول از همان راه پرداخت، تا ۵ روز کاری برمی‌گردد.\n\n"
         "| کالا | روز |\n|---|---|\n| پوشاک و کفش | ۳۰ |\n| الکترونیک پلمب‌شده | ۱۴ |\n"
         "| خوراکی، آرایشی، لباس زیر | بدون برگشت |\n\n"
         "> بدون رسید و کارت: یک بن خرید به قیمت امروز، تنها یک بار.")),
    )),
    SampleArticle("lin", 60, _four(
        ("Opening hours and holidays",
         ("Every day **10:00 to 22:00**, the supermarket from 8:30. Restaurants until 23:00.\n\n"
         "On Spring Festival's eve the house closes at 17:00.")),
        ("营业时间与节假日",
         "每天 **10:00–22:00**，超市 8:30 开门，餐厅营业到 23:00。\n\n除夕 17:00 闭店。"),
        ("Horario y festivos",
         ("Todos los días de **10:00 a 22:00**; el supermercado desde las 8:30. "
         "Restaurantes hasta las 23:00.\n\nLa víspera del Año Nuevo chino se cierra a las 17:00.")),
        ("ساعت کار و تعطیلات",
         ("هر روز از **۱۰ تا ۲۲**؛ فروشگاه مواد غذایی از ۸:۳۰ و رستوران‌ها تا ۲۳.\n\n"
         "شب عید بهار ساعت ۱۷ بسته می‌شود.")),
    )),
    SampleArticle("lin", 200, _four(
        ("Member points: earning, spending, expiry",
         ("- One point for each yuan; **double** on the 8th of each month.\n"
         "- 100 points are worth 1 yuan, from 1,000 points on.\n"
         "- Points expire two years after the purchase.\n\n"
         "Missing points are added within 30 days: ask for the receipt's number and the card.")),
        ("会员积分：累积、使用与有效期",
         ("- 每消费 1 元积 1 分；每月 8 日**双倍**。\n- 1,000 分起兑，100 分抵 1 元。\n"
         "- 积分于消费满两年后到期。\n\n漏记积分 30 天内可补：请提供小票号和会员卡号。")),
        ("Puntos de socio: ganar, gastar, caducidad",
         ("- Un punto por yuan; **doble** el día 8 de cada mes.\n"
         "- 100 puntos valen 1 yuan, a partir de 1.000 puntos.\n"
         "- Caducan a los dos años de la compra.\n\n"
         "Los puntos que faltan se añaden en 30 días: pida el número del tique y la tarjeta.")),
        ("امتیاز اعضا: گرفتن، خرج کردن، پایان اعتبار",
         ("- هر یوان یک امتیاز؛ روز ۸ هر ماه **دو برابر**.\n"
         "- هر ۱۰۰ امتیاز یک یوان، از ۱۰۰۰ امتیاز به بالا.\n"
         "- اعتبار تا دو سال پس از خرید است.\n\n"
         "امتیاز ثبت‌نشده تا ۳۰ روز افزوده می‌شود: شمارهٔ رسید و کارت را بپرسید.")),
    ), ("service", "vip")),
    SampleArticle("maria", 90, _four(
        ("Where is my order? Delivery times",
         ("- In town: **next day**, between 9:00 and 21:00.\n- Elsewhere: 2 to 4 days.\n"
         "- Furniture: by appointment, within 10 days.\n\n"
         "Later than that: say sorry, open a task *Order late* and promise a call **today**.")),
        ("订单到哪了？配送时间",
         ("- 市内：**次日** 9:00–21:00。\n- 外地：2–4 天。\n- 家具：预约配送，10 天内。\n\n"
         "超时：致歉，建立任务“订单延误”，并承诺**当天**回电。")),
        ("¿Dónde está mi pedido? Plazos de entrega",
         ("- En la ciudad: **al día siguiente**, de 9:00 a 21:00.\n- Fuera: de 2 a 4 días.\n"
         "- Muebles: con cita, en 10 días.\n\n"
         "Si tarda más: pida disculpas, abra una tarea y prometa llamar **hoy mismo**.")),
        ("سفارش من کجاست؟ زمان تحویل",
         ("- داخل شهر: **روز بعد**، از ۹ تا ۲۱.\n- شهرهای دیگر: ۲ تا ۴ روز.\n"
         "- مبلمان: با وقت قبلی، تا ۱۰ روز.\n\n"
         "اگر دیرتر شد: پوزش بخواهید، یک کار باز کنید و قول تماس **امروز** را بدهید.")),
    )),
    SampleArticle("lin", -5, _four(
        ("Parking: prices and free hours",
         ("Levels B2 and B3. **3 hours free** with the member card, then 5 yuan an hour.\n\n"
         "Lost ticket: the plate's number is enough at the desk on B1.")),
        ("停车：价格与免费时长",
         "地下二、三层。会员卡**免费 3 小时**，之后每小时 5 元。\n\n停车票遗失：到 B1 服务台报车牌号即可。"),
        ("Aparcamiento: precios y horas gratis",
         ("Plantas B2 y B3. **3 horas gratis** con la tarjeta de socio; después, 5 yuanes la hora.\n\n"
         "Tique perdido: basta la matrícula en el mostrador de B1.")),
        ("پارکینگ: نرخ و ساعت‌های رایگان",
         ("طبقه‌های B2 و B3. با کارت عضویت **۳ ساعت رایگان**، سپس ساعتی ۵ یوان.\n\n"
         "برگهٔ گم‌شده: شمارهٔ پلاک در پیشخوان B1 کافی است.")),
    )),
    SampleArticle("chief", 150, _four(
        ("When somebody complains",
         ("1. Let them finish. Say that you have understood, in their words.\n"
         "2. Write a **complaint** with order, counter and day; tell its number.\n"
         "3. You may give up to **50 yuan** in points; more needs a supervisor.\n"
         "4. Say *when* somebody will call, and make the callback.")),
        ("顾客投诉怎么办",
         ("1. 让顾客说完，用对方的话复述，表示理解。\n2. 登记**投诉**，写明订单、柜台、日期，并告知编号。\n"
         "3. 您可以补偿不超过 **50 元**的积分；更多须经主管同意。\n4. 说明*何时*回电，并建立回电任务。")),
        ("Cuando alguien reclama",
         ("1. Deje que termine. Diga que lo ha entendido, con sus palabras.\n"
         "2. Abra una **reclamación** con pedido, mostrador y día; diga su número.\n"
         "3. Puede dar hasta **50 yuanes** en puntos; más, con un supervisor.\n"
         "4. Diga *cuándo* llamará alguien y anote la llamada.")),
        ("وقتی کسی شکایت دارد",
         ("1. بگذارید حرفش تمام شود و با واژه‌های خودش بگویید که فهمیده‌اید.\n"
         "2. **شکایت** را با سفارش، غرفه و روز ثبت کنید و شماره‌اش را بگویید.\n"
         "3. تا **۵۰ یوان** امتیاز می‌توانید بدهید؛ بیشتر با سرپرست.\n"
         "4. بگویید *کی* تماس گرفته می‌شود و یادآور بگذارید.")),
    )),
    SampleArticle("maria", 80, _four(
        ("Gift cards and vouchers",
         ("From 50 to 5,000 yuan, at every till and by phone. Valid for three years, "
         "not changed into money. A lost card is blocked by its number.")),
        ("礼品卡与代金券", "面值 50–5,000 元，各收银台及电话均可购买。有效期三年，不兑现。遗失可凭卡号挂失。"),
        ("Tarjetas regalo y vales",
         ("De 50 a 5.000 yuanes, en cada caja y por teléfono. Válidas tres años, no se cambian por "
         "dinero. Una tarjeta perdida se bloquea con su número.")),
        ("کارت هدیه و بن خرید",
         ("از ۵۰ تا ۵۰۰۰ یوان، در همهٔ صندوق‌ها و تلفنی. سه سال اعتبار دارد و نقد نمی‌شود. "
         "کارت گم‌شده با شماره‌اش بسته می‌شود.")),
    ), ("sales", "vip")),
    SampleArticle("chief", 30, _four(
        ("VIP customers: what they may expect",
         ("- A free hand in exchange within 60 days.\n- Delivery on the same day in town.\n"
         "- Their own adviser: see *last served by* on the card.\n\n"
         "Never leave a VIP waiting for more than a minute without a word.")),
        ("贵宾顾客的礼遇",
         ("- 60 天内自由换货。\n- 市内当日送达。\n- 专属顾问：见卡片上的“上次服务”。\n\n"
         "不要让贵宾无声等待超过一分钟。")),
        ("Clientes VIP: qué pueden esperar",
         ("- Cambio libre durante 60 días.\n- Entrega el mismo día en la ciudad.\n"
         "- Su propio asesor: vea *atendido por última vez* en la ficha.\n\n"
         "Nunca deje a un VIP esperando más de un minuto sin decir nada.")),
        ("مشتریان ویژه: چه انتظاری دارند",
         ("- تعویض آزاد تا ۶۰ روز.\n- تحویل همان روز در شهر.\n"
         "- مشاور خودشان: «آخرین پاسخ‌گو» را روی کارت ببینید.\n\n"
         "هیچ مشتری ویژه‌ای را بیش از یک دقیقه بی‌سخن منتظر نگذارید.")),
    ), ("vip",)),
)  # fmt: skip


def _texts(en: str, zh: str, es: str, fa: str) -> dict[str, str]:
    return {"en": en, "zh": zh, "es": es, "fa": fa}


TEXTS = (
    ("hello", None, _texts("Greeting", "问候", "Saludo", "خوشامد"), _texts(
        "Hello {customer.name}, this is {agent.name} of the mall. What can I do for you?",
        "{customer.name}您好，我是商场的{agent.name}，请问有什么可以帮您？",
        "Hola, {customer.name}. Soy {agent.name}, del centro comercial. ¿En qué puedo ayudarle?",
        "سلام {customer.name}، من {agent.name} از مرکز خرید هستم. چه کمکی از من برمی‌آید؟")),
    ("bye", None, _texts("Good-bye", "结束语", "Despedida", "خداحافظی"), _texts(
        "Thank you for calling. Have a good day!", "感谢您的来电，祝您愉快！",
        "Gracias por su llamada. ¡Que tenga un buen día!", "از تماس شما سپاسگزاریم. روز خوش!")),
    ("points", None, _texts("Points balance", "积分余额", "Saldo de puntos", "موجودی امتیاز"), _texts(
        "On {today} you have {points} points.", "截至{today}，您的积分为 {points} 分。",
        "A {today} tiene usted {points} puntos.", "تا {today} شما {points} امتیاز دارید.")),
    ("late", None, _texts("Sorry: late order", "致歉：订单延误", "Disculpa: pedido con retraso",
                          "پوزش: سفارش دیر رسیده"), _texts(
        "Dear {customer.name}, we are sorry that your order is late. I look into it and call you "
        "today. {agent.name}",
        "尊敬的{customer.name}：很抱歉您的订单延误了，我马上查询，今天给您回电。{agent.name}",
        "Estimado/a {customer.name}: sentimos el retraso de su pedido. Lo consulto y le llamo hoy. "
        "{agent.name}",
        "{customer.name} گرامی، از دیر رسیدن سفارش شما پوزش می‌خواهیم. پیگیری می‌کنم و امروز "
        "تماس می‌گیرم. {agent.name}")),
    ("return", None, _texts("How to return", "退货方法", "Cómo devolver", "روش برگشت کالا"), _texts(
        "Bring the goods and the receipt within 30 days to the service desk on the first floor.",
        "请在 30 天内携带商品和小票到一楼服务台办理。",
        "Traiga el artículo y el tique en 30 días al mostrador de la primera planta.",
        "کالا و رسید را تا ۳۰ روز به پیشخوان خدمات در طبقهٔ اول بیاورید.")),
    ("hours", None, _texts("Opening hours", "营业时间", "Horario", "ساعت کار"), _texts(
        "We are open every day from 10 to 22.", "我们每天 10 点到 22 点营业。",
        "Abrimos todos los días de 10 a 22.", "ما هر روز از ۱۰ تا ۲۲ باز هستیم.")),
    ("parking", None, _texts("Parking", "停车", "Aparcamiento", "پارکینگ"), _texts(
        "With the member card you park free for three hours on B2 and B3.",
        "凭会员卡可在地下二、三层免费停车三小时。",
        "Con la tarjeta de socio aparca gratis tres horas en B2 y B3.",
        "با کارت عضویت سه ساعت پارک در B2 و B3 رایگان است.")),
    ("callback", None, _texts("We call back", "我们会回电", "Le llamamos", "تماس می‌گیریم"), _texts(
        "{queue}: {agent.name} calls you back at the time agreed.",
        "{queue}：{agent.name}会在约定时间给您回电。",
        "{queue}: {agent.name} le llamará a la hora acordada.",
        "{queue}: {agent.name} در زمان توافق‌شده با شما تماس می‌گیرد.")),
    ("gift", "sales", _texts("Gift cards", "礼品卡", "Tarjetas regalo", "کارت هدیه"), _texts(
        "Gift cards of 50 to 5,000 yuan are valid for three years.",
        "礼品卡面值 50 至 5,000 元，有效期三年。",
        "Las tarjetas regalo, de 50 a 5.000 yuanes, valen tres años.",
        "کارت‌های هدیه از ۵۰ تا ۵۰۰۰ یوان سه سال اعتبار دارند.")),
)  # fmt: skip
"""(code, queue or None, titles, texts)."""
