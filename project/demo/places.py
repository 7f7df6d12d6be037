"""The sites of the demo organisations: invented facilities in real cities."""

from typing import Final, NamedTuple


class Place(NamedTuple):
    """A facility: position in degrees (WGS 84), radius of its geofence in metres."""

    code: str
    name: str
    timezone: str
    latitude: float
    longitude: float
    radius: int


PLACES: Final = (
    Place("OSL-HOSP", "Ekeberg Hospital, Oslo", "Europe/Oslo", 59.8987, 10.7762, 350),
    Place("BGO-PORT", "Dokken Ferry Terminal, Bergen", "Europe/Oslo", 60.3969, 5.3089, 400),
    Place("GOT-MFG", "Hisingen Assembly Plant, Gothenburg", "Europe/Stockholm", 57.7216, 11.9064, 600),
    Place("CPH-DC1", "Amager Data Centre, Copenhagen", "Europe/Copenhagen", 55.6361, 12.6143, 200),
    Place("HAM-LOG", "Billbrook Logistics Park, Hamburg", "Europe/Berlin", 53.5271, 10.0893, 500),
    Place("ROT-COLD", "Maasvlakte Cold Store, Rotterdam", "Europe/Amsterdam", 51.9496, 4.0263, 450),
    Place("LDN-OFF", "Bishopsgate Tower, London", "Europe/London", 51.5154, -0.0815, 120),
    Place("MAD-MALL", "Vallecas Shopping Centre, Madrid", "Europe/Madrid", 40.3711, -3.6017, 300),
    Place("NYC-CAMP", "Morningside Campus, New York", "America/New_York", 40.8079, -73.9626, 400),
    Place("CHI-WTR", "Stickney Water Works, Chicago", "America/Chicago", 41.8156, -87.7711, 700),
    Place("SIN-FAB", "Woodlands Wafer Fab, Singapore", "Asia/Singapore", 1.4427, 103.7877, 300),
    Place("PER-MINE", "Mount Dale Quarry, Perth", "Australia/Perth", -32.1297, 116.2969, 1500),
    Place("DUB-OFF", "Grand Canal Offices, Dublin", "Europe/Dublin", 53.3391, -6.2372, 150),
    Place("LIS-HTL", "Alfama Hotel, Lisbon", "Europe/Lisbon", 38.7117, -9.1301, 100),
)
