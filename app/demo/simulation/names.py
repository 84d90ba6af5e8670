"""Names of people and firms, put together from common parts; nobody in particular is meant."""

from app.demo.simulation.draws import Draws


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# one character each
ZH_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾萧田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢"
ZH_GIVEN = _words(
    "伟 芳 娜 敏 静 强 磊 洋 艳 勇 军 杰 涛 超 明 刚 平 辉 鹏 华 秀英 桂兰 建国 志强 晓明 海燕 丽华 文博 子轩 雨涵 "
    "欣怡 梓涵 浩然 诗琪 宇轩 佳怡 俊杰 思远 雅婷 梦琪 嘉豪 晨曦 婉清 国栋 春梅 玉兰 立新 永康 慧敏 雪梅 志明 淑珍 "
    "一鸣 若曦 景行 书瑶 泽宇 可欣 天佑 心怡 家豪 美玲 锦程 乐瑶 承志 凤英 振宇 晓琳 启航 静怡 德华 秋月"
)
ZH_PLACES = _words("上海 北京 深圳 广州 杭州 南京 成都 苏州 武汉 厦门 宁波 青岛")
ZH_WORDS = _words("恒信 鼎盛 华茂 瑞丰 同创 嘉禾 博远 金桥 云帆 正阳 润泽 新联")
ZH_TRADES = _words("贸易 餐饮管理 建材 软件 物流 文化传播 医疗器械 服饰 装饰工程 食品")

EN_FIRST = _words(
    "Olivia Amelia Isla Ava Grace Freya Emily Sophie Lily Ella Charlotte Hannah Lucy Chloe Alice Megan Zoe Ruth Helen "
    "Karen Susan Margaret Patricia Nancy Priya Aisha Fatima Elena Marta Ingrid Oliver George Harry Noah Jack Leo "
    "Arthur Oscar James William Henry Thomas Daniel Samuel Joseph Edward Robert Michael David Peter Andrew Brian "
    "Kevin Omar Arjun Mateo Viktor Stefan Kwame Ibrahim Patrick"
)
EN_LAST = _words(
    "Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Robinson Wright Thompson Evans Walker White Roberts "
    "Green Hall Wood Clarke Hughes Edwards Turner Hill Moore Cooper Ward Morris King Baker Harrison Morgan Allen Scott "
    "Campbell Mitchell Anderson Kelly Murphy O'Brien Khan Ahmed Shah Garcia Martinez Lopez Nguyen Kim Schmidt Novak "
    "Kowalski Rossi Silva Okafor Mensah Larsen Fraser Bennett Foster Hayes"
)
EN_TRADES = (
    "Bakery",
    "Joinery",
    "Logistics",
    "Design",
    "Dental Care",
    "Engineering",
    "Catering",
    "Printing",
    "Landscapes",
    "Software",
    "Motors",
    "Interiors",
)
EN_FORMS = ("Ltd", "& Sons Ltd", "Partners LLP", "& Co. Ltd")


def person_name(draws: Draws, language: str) -> str:
    """A full name as it is written in that language: 陈静怡, Hannah Clarke."""
    if language == "zh":
        return draws.choice(ZH_SURNAMES) + draws.choice(ZH_GIVEN)
    return f"{draws.choice(EN_FIRST)} {draws.choice(EN_LAST)}"


def firm_name(draws: Draws, language: str) -> str:
    """The name of a small firm: 苏州瑞丰建材有限公司, Novak Joinery & Co. Ltd."""
    if language == "zh":
        return f"{draws.choice(ZH_PLACES)}{draws.choice(ZH_WORDS)}{draws.choice(ZH_TRADES)}有限公司"
    return f"{draws.choice(EN_LAST)} {draws.choice(EN_TRADES)} {draws.choice(EN_FORMS)}"
