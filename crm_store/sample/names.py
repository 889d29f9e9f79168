"""Names and numbers for the sample mall, by language.

Owns lists of common names and the forms of telephone numbers. The people are made up; where a
country sets numbers aside for fiction, they are taken from there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """`phone(chance, position)` is a mobile number in E.164, another for each position."""

    language: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool
    note: str
    phone: Callable[[random.Random, int], str]

    def person(self, chance: random.Random) -> str:
        given, family = chance.choice(self.given), chance.choice(self.family)
        if self.family_first:
            return family + given
        return f"{given} {family}"


def _chinese_phone(chance: random.Random, position: int) -> str:
    return f"+86{chance.choice(('139', '150', '186'))}{position:08d}"


def _spanish_phone(chance: random.Random, position: int) -> str:
    if chance.random() < 0.5:
        return f"+346{10_000_000 + position * 37}"
    return f"+5255{10_000_000 + position * 41}"


def _persian_phone(chance: random.Random, position: int) -> str:
    return f"+98{chance.choice(('912', '935'))}{1_000_000 + position * 43}"


def _english_phone(chance: random.Random, position: int) -> str:
    if chance.random() < 0.5:
        # Ofcom keeps 07700 900000 to 900999 for drama, too few for all: the range around them.
        return f"+447700{900_000 + position}"
    # 555-01xx is set aside for fiction in each North American area.
    areas = ("212", "213", "303", "312", "404", "415", "503", "512", "602", "617", "702", "713",
             "202", "206", "214", "305", "313", "407", "414", "502", "504", "505")  # fmt: skip
    return f"+1{areas[position // 100]}55501{position % 100:02d}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


CHINESE = Names(
    language="zh",
    given=_words(
        "伟|芳|娜|敏|静|丽|强|磊|军|洋|勇|艳|杰|娟|涛|明|超|秀英|霞|平|刚|桂英|建华|文|玉兰|志强|晓明|子涵|欣怡|浩然|雨桐|思远|佳琪|俊杰|梦瑶|天宇"
    ),
    family=_words("王|李|张|刘|陈|杨|黄|赵|吴|周|徐|孙|马|朱|胡|郭|何|林|高|罗|欧阳|司马"),
    family_first=True,
    note="喜欢喝茶，周末常来。",
    phone=_chinese_phone,
)
SPANISH = Names(
    language="es",
    given=_words(
        "María|José|Antonio|Carmen|Manuel|Ana|Lucía|Francisco|Javier|Sofía|"
        "Daniel|Marta|Pablo|Elena|Alejandro|Laura|Sergio|Íñigo|Begoña|Ángel"
    ),
    family=_words(
        "García|González|Rodríguez|Fernández|López|Martínez|Sánchez|"
        "Pérez|Gómez|Muñoz|Núñez|Ibáñez|de la Cruz|Ordóñez|Jiménez"
    ),
    family_first=False,
    note="Prefiere que la llamen por la tarde.",
    phone=_spanish_phone,
)
PERSIAN = Names(
    language="fa",
    given=_words(
        "علی|محمد|زهرا|فاطمه|حسین|رضا|مریم|سارا|مهدی|نرگس|امیر|لیلا|کاوه|شیرین|داریوش|پروانه"
    ),
    family=_words("احمدی|رضایی|محمدی|حسینی|کریمی|موسوی|جعفری|هاشمی|نوری|صادقی|یزدانی|کیانی"),
    family_first=False,
    note="لطفاً بعد از ساعت ۱۶ تماس بگیرید.",
    phone=_persian_phone,
)
ENGLISH = Names(
    language="en",
    given=_words(
        "James|Mary|Robert|Patricia|John|Jennifer|Michael|Linda|"
        "David|Elizabeth|William|Susan|Thomas|Jessica|Siobhán|Zoë"
    ),
    family=_words(
        "Smith|Johnson|Williams|Brown|Jones|Miller|Davis|"
        "O'Brien|Wilson|Anderson|Taylor|Moore|MacDonald|Smith-Jones|Clark"
    ),
    family_first=False,
    note="Collects porcelain; tell when new pieces arrive.",
    phone=_english_phone,
)
