"""Who the customers are: names, contact data, wealth and habits, drawn once and then fixed.

Language: Chinese or English, half each. Business: 8 %. Wealth that could be invested, in units of the institution's
currency: log-normal, median 25,000 and sigma 1.7 for people, median 60,000 and sigma 1.0 for firms, cut to
3,000-20,000,000. Segment of people: mass below 50,000, affluent below 500,000, then high net worth. Tier: A from
250,000, B from 40,000. Arrival: 40 % in the first 150 days (the opening), 12 % in
the last 150 days but five (a campaign), the rest evenly.
"""

from dataclasses import dataclass
from datetime import timedelta

from app.demo.shapes import DemoConsent, DemoCustomer, Kind, Segment, Tier
from app.demo.simulation.draws import Draws
from app.demo.simulation.market import Window
from app.demo.simulation.names import firm_name, person_name

PROFILE_STREAM = 0
BUSINESS_SHARE, CHINESE_SHARE = 0.08, 0.5
EARLY_SHARE, LATE_SHARE, WAVE_DAYS, LAST_DAYS = 0.40, 0.12, 150, 5
AFFLUENT_FROM, HIGH_NET_WORTH_FROM = 50_000, 500_000
TIER_A_FROM, TIER_B_FROM = 250_000, 40_000

# country, time zone, hour in UTC at which the nine waking hours begin that the simulation uses; chosen so that the
# local date and the date in UTC are the same, in summer and in winter
PLACES = {
    "zh": (
        (("CN", "Asia/Shanghai", 1), 0.8),
        (("HK", "Asia/Hong_Kong", 1), 0.1),
        (("SG", "Asia/Singapore", 1), 0.1),
    ),
    "en": (
        (("GB", "Europe/London", 9), 0.45),
        (("US", "America/New_York", 14), 0.25),
        (("SG", "Asia/Singapore", 1), 0.2),
        (("HK", "Asia/Hong_Kong", 1), 0.1),
    ),
}
# Numbers that nobody can hold: ranges kept free for fiction (GB, US), or beginnings that no subscriber number has.
GB_FICTION = ("113496", "114496", "115496", "116496", "117496", "118496", "121496", "131496", "141496", "151496")
US_AREAS = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228)
NEEDS = ("retirement", "education", "first_home", "income", "protection", "growth")
ADVISERS = 12


@dataclass(frozen=True, slots=True)
class Person:
    """A customer with what the institution cannot see: wealth (currency), the share of it that follows the share
    market, logins a year when settled, the mean of their answers to "would you recommend us" (0-10)."""

    customer: DemoCustomer
    wealth: float
    equity: float
    logins_per_year: float
    satisfaction: float
    created: int
    first_hour: int


def person(seed: int, index: int, window: Window) -> Person:
    """Customer number `index`, the same for ever for the same seed and window."""
    draws = Draws(seed, index, PROFILE_STREAM)
    kind: Kind = "business" if draws.chance(BUSINESS_SHARE) else "individual"
    language = "zh" if draws.chance(CHINESE_SHARE) else "en"
    country, time_zone, first_hour = draws.weighted(PLACES[language])
    wealth = draws.lognormal(60_000, 1.0) if kind == "business" else draws.lognormal(25_000, 1.7)
    wealth = min(max(wealth, 3_000.0), 20_000_000.0)
    created = _arrival(draws, window.days)
    tier = _tier(wealth)
    email, phone = _contacts(draws, index, country)
    created_on = window.on(created)
    customer = DemoCustomer(
        external_id=f"sim-{index:06d}",
        kind=kind,
        full_name=firm_name(draws, language) if kind == "business" else person_name(draws, language),
        email=email,
        phone=phone,
        birth_on=None if kind == "business" else created_on - timedelta(days=round(365.25 * _age(draws))),
        segment=_segment(kind, wealth),
        tier=tier,
        country=country,
        language=language,
        time_zone=time_zone,
        owner=_owner(draws, tier),
        tags=[draws.choice(NEEDS)] if draws.chance(0.6) else [],
        consents=_consents(draws, phone is not None),
        kyc_status="none",
        created_on=created_on,
    )
    return Person(
        customer=customer,
        wealth=wealth,
        equity=draws.uniform(0.1, 0.9),
        logins_per_year=draws.lognormal(21.0, 0.4),
        satisfaction=min(draws.normal(8.2, 1.0), 9.6),
        created=created,
        first_hour=first_hour,
    )


def _arrival(draws: Draws, days: int) -> int:
    last = days - LAST_DAYS
    wave = draws.weighted(
        (("opening", EARLY_SHARE), ("campaign", LATE_SHARE), ("between", 1.0 - EARLY_SHARE - LATE_SHARE))
    )
    if wave == "between":
        return draws.between(0, last)
    return draws.between(0, WAVE_DAYS) if wave == "opening" else draws.between(last - WAVE_DAYS, last)


def _age(draws: Draws) -> float:
    """Years, 20 to 85, most around 43."""
    return min(max(draws.normal(43.0, 13.0), 20.0), 85.0)


def _tier(wealth: float) -> Tier:
    return "A" if wealth >= TIER_A_FROM else "B" if wealth >= TIER_B_FROM else "C"


def _owner(draws: Draws, tier: Tier) -> str | None:
    """An adviser for everybody in tier A and half of tier B."""
    cared_for = draws.chance({"A": 1.0, "B": 0.5, "C": 0.0}[tier])
    return f"adviser-{draws.between(1, ADVISERS):02d}" if cared_for else None


def _segment(kind: Kind, wealth: float) -> Segment:
    if kind == "business":
        return "small_business"
    return "high_net_worth" if wealth >= HIGH_NET_WORTH_FROM else "affluent" if wealth >= AFFLUENT_FROM else "mass"


def _contacts(draws: Draws, index: int, country: str) -> tuple[str | None, str | None]:
    """E-mail (94 %) and telephone (60 %); somebody without an e-mail address always has a telephone."""
    email = f"customer{index:06d}@example.com" if draws.chance(0.94) else None
    phone = _phone(index, country) if draws.chance(0.6) or email is None else None
    return email, phone


def _phone(index: int, country: str) -> str:
    if country == "GB":
        return f"+44{GB_FICTION[index // 1000 % len(GB_FICTION)]}0{index % 1000:03d}"
    if country == "US":
        return f"+1{US_AREAS[index // 100 % len(US_AREAS)]}55501{index % 100:02d}"
    return {"CN": f"+86100{index:08d}", "HK": f"+8520{index:07d}", "SG": f"+650{index:07d}"}[country]


def _consents(draws: Draws, has_phone: bool) -> list[DemoConsent]:
    """Service messages belong to the contract; marketing and surveys are asked for, by channel."""
    consents: list[DemoConsent] = [
        {"channel": "email", "purpose": "service", "granted": True},
        {"channel": "in_app", "purpose": "service", "granted": True},
        {"channel": "email", "purpose": "marketing", "granted": draws.chance(0.72)},
        {"channel": "email", "purpose": "survey", "granted": draws.chance(0.78)},
        {"channel": "in_app", "purpose": "marketing", "granted": draws.chance(0.6)},
        {"channel": "in_app", "purpose": "survey", "granted": draws.chance(0.7)},
    ]
    if has_phone:
        consents.append({"channel": "phone", "purpose": "service", "granted": True})
        consents.append({"channel": "phone", "purpose": "marketing", "granted": draws.chance(0.35)})
    return consents
