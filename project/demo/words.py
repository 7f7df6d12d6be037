"""The vocabulary of the demo data, in full words; `titles.py` shortens and misspells them."""

from typing import Final, NamedTuple


class Category(NamedTuple):
    """A kind of asset: the prefix of its codes, its parts, and what people say when it fails."""

    name: str
    prefix: str
    parts: tuple[str, ...]
    symptoms: tuple[str, ...]


def _category(name: str, prefix: str, parts: str, symptoms: str) -> Category:
    return Category(name, prefix, tuple(parts.split(", ")), tuple(symptoms.split(", ")))


CATEGORIES: Final = (
    _category(
        "Air handling unit",
        "AHU",
        "supply fan belt, return air damper, heating coil, cooling coil, pre-filter, bag filter, condensate drain, "
        "damper actuator, fan bearing, frost thermostat, humidifier nozzle",
        "no airflow, high vibration, water under unit, filter alarm, squealing belt, supply air too cold",
    ),
    _category(
        "Chiller",
        "CH",
        "compressor oil filter, condenser tubes, evaporator, expansion valve, flow switch, refrigerant line, "
        "soft starter, oil heater, pressure relief valve",
        "high head pressure, low refrigerant, surging, trips on start, oil pressure low",
    ),
    _category(
        "Boiler",
        "BLR",
        "burner, ignition electrode, flue gas sensor, feed water pump, safety valve, sight glass, gas train, "
        "refractory lining, expansion vessel",
        "flame failure, short cycling, pressure drop overnight, carbon monoxide alarm, knocking pipes",
    ),
    _category(
        "Pump",
        "PMP",
        "mechanical seal, impeller, coupling, drive end bearing, suction strainer, check valve, motor, base plate, "
        "pressure gauge, gland packing",
        "cavitation noise, leaking from seal, running hot, will not prime, low discharge pressure",
    ),
    _category(
        "Lift",
        "LFT",
        "door operator, landing door, brake, traction rope, car light, emergency telephone, guide shoe, pit light, "
        "overspeed governor, push button",
        "stuck between floors, doors will not close, overshoots landing, jerky ride, call button dead",
    ),
    _category(
        "Diesel generator",
        "GEN",
        "starter battery, fuel filter, coolant hose, alternator, exhaust gasket, governor, radiator fan, day tank, "
        "transfer switch, engine oil",
        "fails to start, black smoke, low coolant, overspeed trip, battery charger fault, hunting",
    ),
    _category(
        "Conveyor",
        "CNV",
        "drive chain, head pulley, tail pulley, idler roller, belt scraper, gearbox, emergency pull cord, belt splice, "
        "skirt rubber, take-up screw",
        "belt tracking off, belt slipping, seized roller, spillage at transfer, gearbox overheating",
    ),
    _category(
        "Air compressor",
        "CMP",
        "air end, separator element, intake filter, pressure switch, drain valve, dryer, cooler, drive belt, hose",
        "oil carry over, high temperature trip, air leak, unloads too early, water in air line",
    ),
    _category(
        "Hydraulic power unit",
        "HPU",
        "hydraulic pump, hydraulic hose, relief valve, hydraulic cylinder, return filter, accumulator, oil cooler, "
        "directional valve, reservoir breather",
        "hydraulic leak, slow travel, oil overheating, pump whining, pressure will not hold",
    ),
    _category(
        "Fire system",
        "FIR",
        "smoke detector, sprinkler head, call point, alarm panel battery, hose reel, jockey pump, fire door closer, "
        "sounder, extinguisher",
        "false alarm, zone fault, panel shows earth fault, low pressure in sprinkler main",
    ),
    _category(
        "Switchgear",
        "SWG",
        "circuit breaker, busbar, contactor, overload relay, cable termination, earth bar, surge arrester, isolator, "
        "power meter",
        "tripping breaker, hot joint on thermal scan, buzzing panel, phase loss, burning smell",
    ),
    _category(
        "Lighting",
        "LGT",
        "emergency luminaire, ballast, motion sensor, time switch, car park lamp, exit sign, high bay fitting, cable",
        "lights flickering, lamp out, lights stay on, emergency light fails test",
    ),
    _category(
        "Plumbing",
        "PLB",
        "toilet cistern, mixer tap, waste pipe, hot water cylinder, circulation pump, thermostatic valve, floor drain, "
        "backflow preventer, urinal sensor",
        "blocked drain, leaking pipe, no hot water, low water pressure, bad smell, overflowing cistern",
    ),
    _category(
        "Dock leveller",
        "DCK",
        "hydraulic cylinder, lip hinge, dock shelter, bumper, control box, limit switch, wheel guide, dock light",
        "lip will not extend, leaking cylinder, shelter torn, leveller stuck down",
    ),
    _category(
        "Overhead door",
        "DOR",
        "torsion spring, photo cell, door motor, bottom seal, cable drum, track roller, panel, remote control",
        "door off track, door will not open, closing too fast, hit by truck",
    ),
    _category(
        "Forklift",
        "FLT",
        "steer tyre, mast chain, drive motor, traction battery, brake shoe, fork, seat switch, hydraulic hose, horn",
        "brakes dragging, mast will not lift, leaking transmission, flat tyre, battery not charging",
    ),
    _category(
        "Cooling tower",
        "CLT",
        "fan blade, gearbox, fill pack, float valve, drift eliminator, basin strainer, dosing pump, spray nozzle",
        "excessive drift, scale on fill, basin overflowing, high conductivity, fan vibration",
    ),
    _category(
        "UPS",
        "UPS",
        "battery string, static switch, inverter, cooling fan, bypass breaker, capacitor bank, display",
        "battery fault alarm, on bypass, overload, fan failure, short run time",
    ),
    _category(
        "Roof and facade",
        "ROF",
        "gutter, roof membrane, skylight, flashing, anchor point, downpipe, window seal, cladding panel",
        "roof leak, blocked gutter, loose cladding, broken window, water stain on ceiling",
    ),
    _category(
        "Cold room",
        "CLD",
        "evaporator fan, door heater, door gasket, defrost element, temperature sensor, liquid line solenoid, curtain",
        "temperature alarm, ice on floor, door will not seal, evaporator iced up, compressor short cycling",
    ),
)
FOR_A_PART: Final = (
    "replace {part}", "replace {part}", "repair {part}", "repair leaking {part}", "check {part}", "inspect {part}",
    "adjust {part}", "clean {part}", "tighten {part}", "lubricate {part}", "remove and refit {part}", "fit new {part}",
    "replace worn {part}", "replace broken {part}", "replace damaged {part}", "{part} leaking", "{part} noisy",
    "{part} loose", "{part} cracked", "{part} seized", "{part} faulty", "{part} worn", "{part} requires replacement",
    "order and fit {part}", "temporary repair to {part}", "calibrate {part}", "investigate noise from {part}",
)  # fmt: skip
FOR_A_SYMPTOM: Final = (
    "{symptom}",
    "{symptom}",
    "investigate {symptom}",
    "{symptom}, please check",
    "recurring {symptom}",
)
ROUTINE: Final = (
    "weekly inspection", "monthly inspection", "monthly service", "quarterly maintenance", "annual service",
    "annual statutory inspection", "{hours} hour service", "vibration analysis", "thermal imaging", "oil sample",
    "lubrication round", "change out", "load test", "function test",
)  # fmt: skip
WHERE: Final = (
    "left hand side", "right hand side", "left hand front", "right hand rear", "front", "rear", "drive end",
    "non drive end", "number {n}", "level {n}", "bay {n}", "roof plant room", "basement", "dock {n}", "building {n}",
    "stairwell {n}", "room {n}0{n}", "west wing", "loading bay", "main entrance",
)  # fmt: skip
STANDS: Final = (
    "roof plant room", "basement", "level {n}", "building {n}", "west wing", "east wing", "loading bay", "bay {n}",
    "dock {n}",
    "main entrance", "plant room {n}", "annex", "yard", "substation {n}",
)  # fmt: skip
REMARKS: Final = (
    "Found during the morning round.", "Reported by the night shift.", "Isolate and lock out before work.",
    "Spare part is in store.", "Spare part to be ordered, about two weeks.", "Access by scissor lift only.",
    "Second time this quarter; find the cause.", "Contractor to attend.", "Can wait for the next planned stop.",
    "Area cordoned off.", "Tell reception before starting.", "See the photo on the shared drive.",
    "Temporary clamp fitted, still weeping.", "Noise gets worse under load.", "Reset once, came back after an hour.",
    "Permit to work needed.", "Measured 4.2 mm/s, alarm limit is 4.5.", "Tenant asked for work after 18:00.",
)  # fmt: skip
STEPS: Final = (
    "Isolate and lock out", "Drain and vent", "Take out the old part", "Fit the new part", "Align and torque",
    "Refill and bleed", "Test run", "Clean up the area", "Take readings", "Update the asset register", "Order parts",
    "Put up barriers", "Take photographs", "Check the guards", "Hand over to operations",
)  # fmt: skip
COMPLAINTS: Final = (
    ("Heating", "It is freezing in {place}"), ("Heating", "Radiator in {place} is stone cold"),
    ("Cooling", "Air conditioning in {place} is blowing warm air"), ("Cooling", "Far too cold in {place}, turn it up"),
    ("Water", "Toilet in {place} is blocked"), ("Water", "Tap keeps dripping in {place}"),
    ("Water", "Water is coming through the ceiling in {place}"), ("Water", "No hot water in {place}"),
    ("Electricity", "Lights flicker in {place}"), ("Electricity", "Socket dead in {place}"),
    ("Electricity", "Half of the lamps are out in {place}"), ("Access", "My badge does not open {place}"),
    ("Access", "The door to {place} does not close"), ("Access", "Lift to {place} out of order again"),
    ("Cleaning", "Bin in {place} not emptied since Monday"), ("Cleaning", "Spilled coffee on the carpet in {place}"),
    ("Furniture", "Desk in {place} will not go up"), ("Furniture", "Broken chair in {place}"),
    ("Safety", "Emergency exit blocked at {place}"), ("Safety", "Smell of gas near {place}"),
    ("Noise", "Loud humming from the ventilation in {place}"), ("Pests", "Mouse seen in {place}"),
)  # fmt: skip
PLACES_IN_HOUSE: Final = (
    "meeting room {n}", "the canteen", "office 4{n}2", "the {n}th floor kitchen", "the lobby", "the server room",
    "changing room {n}", "the car park", "ward {n}", "the workshop", "the loading bay", "the archive",
)  # fmt: skip
FIRST_NAMES: Final = (
    "Aaliyah", "Anders", "Beatriz", "Bram", "Carmen", "Chidi", "Dagny", "Dmitri", "Elena", "Emeka", "Fatima", "Finn",
    "Grace", "Gustav", "Hana", "Henrik", "Ingrid", "Ivo", "Jamal", "Johanna", "Kaito", "Karin", "Lars", "Leila",
    "Mateo",
    "Mei", "Nadia", "Nils", "Olga", "Omar", "Priya", "Rafael", "Ronja", "Samir", "Sofia", "Tariq", "Tove", "Ulrik",
    "Vera", "Wei", "Yara", "Zoltan",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abubakar", "Andersen", "Bakker", "Becker", "Castillo", "Chen", "Dahl", "Diallo", "Eriksen", "Ferreira", "Fischer",
    "Garcia", "Haugen", "Hussain", "Ivanova", "Jansen", "Johansson", "Kim", "Kowalski", "Larsen", "Lindqvist", "Martin",
    "Mbeki", "Moreau", "Nakamura", "Nguyen", "Novak", "Okafor", "Olsen", "Papadakis", "Petrov", "Quinn", "Rossi",
    "Sato", "Schmidt", "Silva", "Singh", "Tanaka", "Usman", "Virtanen", "Weber", "Yilmaz",
)  # fmt: skip
