//! Time zones by the names that Java and Joda-Time know.

use std::sync::LazyLock;

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// Rules of all zones, as built in: what a rule does must not depend on the machine.
static RULES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone and what it was called.
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) zone: TimeZone,
}

/// What clocks of a place show, and what that is called.
struct Name {
    short: &'static str,
    minutes: i32,
    long: &'static str,
    place: &'static str,
}

impl Zone {
    pub(super) fn utc() -> Zone {
        Zone { id: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// A zone of the database, whose name is taken letter by letter.
    pub(super) fn of_region(id: &str) -> Option<Zone> {
        let zone = RULES.get(id).ok()?;
        (zone.iana_name() == Some(id)).then(|| Zone { id: id.to_owned(), zone })
    }

    /// The zone of this name. Source: Joda-Time, `DateTimeZone.forID`.
    pub(super) fn of_joda(id: &str) -> Option<Zone> {
        if matches!(id, "UTC" | "UT" | "GMT" | "Z") {
            return Some(Zone::utc());
        }
        if let Some(zone) = Zone::of_region(id) {
            return Some(zone);
        }
        let signed = ["UTC", "GMT", "UT"].iter().find_map(|prefix| id.strip_prefix(prefix));
        let offset = offset(signed.unwrap_or(id))?;
        Some(match offset {
            Offset::ZERO => Zone::utc(),
            offset => Zone { id: text(offset, ":"), zone: TimeZone::fixed(offset) },
        })
    }

    /// What people there call the time of this offset in short.
    pub(super) fn short(&self, abbreviation: &str, offset: Offset) -> String {
        if abbreviation.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return abbreviation.to_owned();
        }
        let name = NAMES.iter().find(|name| name.place == self.id && name.is_at(offset));
        name.map_or_else(|| text(offset, ":"), |name| name.short.to_owned())
    }

    /// The same in full; the offset where there is no name.
    pub(super) fn long(&self, abbreviation: &str, offset: Offset) -> String {
        let short = self.short(abbreviation, offset);
        let name = NAMES.iter().find(|name| name.short == short && name.is_at(offset));
        name.map_or_else(|| text(offset, ":"), |name| name.long.to_owned())
    }
}

impl Name {
    fn is_at(&self, offset: Offset) -> bool {
        self.minutes * 60 == offset.seconds()
    }
}

/// The longest name that the text begins with, and its zone.
pub(super) fn named(input: &str) -> Option<(usize, TimeZone)> {
    let names = NAMES.iter().flat_map(|name| [(name.short, name.place), (name.long, name.place)]);
    let (name, place) = names
        .filter(|(name, _)| input.starts_with(name))
        .max_by_key(|(name, place)| (name.len(), std::cmp::Reverse(*place)))?;
    Some((name.len(), RULES.get(place).ok()?))
}

/// Ids that the JDK does not have: the first three are names there, of places that change their
/// clocks (`ZoneId.SHORT_IDS`).
const NO_REGIONS: [&str; 6] = ["EST", "HST", "MST", "GMT+0", "GMT-0", "ROC"];

/// The longest id of a region that the text begins with, as the JDK knows them.
pub(super) fn region(input: &str) -> Option<(usize, TimeZone)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let most = input.find(|c| !is_part(c)).unwrap_or(input.len()).min(64);
    let known = |id: &&str| !NO_REGIONS.contains(id);
    let zone = |end: usize| {
        let id = Some(&input[..end]).filter(known)?;
        Some((end, Zone::of_region(id)?.zone))
    };
    (2..=most).rev().find_map(zone)
}

/// `+hh`, `+hhmm`, `+hh:mm`, and the same with seconds.
fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits.replace(':', "")),
        ("-", digits) => (-1, digits.replace(':', "")),
        _ => return None,
    };
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |part| part.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60 + seconds)).ok()
}

/// An offset as `+hh`, the separator, `mm`; seconds only when there are any.
pub(super) fn text(offset: Offset, separator: &str) -> String {
    let total = offset.seconds();
    let (sign, total) = (if total < 0 { '-' } else { '+' }, total.abs());
    let (hours, minutes, seconds) = (total / 3_600, total / 60 % 60, total % 60);
    if seconds == 0 {
        return format!("{sign}{hours:02}{separator}{minutes:02}");
    }
    format!("{sign}{hours:02}{separator}{minutes:02}{separator}{seconds:02}")
}

const fn name(short: &'static str, minutes: i32, long: &'static str, place: &'static str) -> Name {
    Name { short, minutes, long, place }
}

/// Names in English. The first place of a short name is the one that is meant when it is read.
#[rustfmt::skip]
static NAMES: &[Name] = &[
    name("UTC", 0, "Coordinated Universal Time", "UTC"),
    name("GMT", 0, "Greenwich Mean Time", "Europe/London"),
    name("PST", -480, "Pacific Standard Time", "America/Los_Angeles"),
    name("PDT", -420, "Pacific Daylight Time", "America/Los_Angeles"),
    name("MST", -420, "Mountain Standard Time", "America/Denver"),
    name("MDT", -360, "Mountain Daylight Time", "America/Denver"),
    name("CST", -360, "Central Standard Time", "America/Chicago"),
    name("CDT", -300, "Central Daylight Time", "America/Chicago"),
    name("EST", -300, "Eastern Standard Time", "America/New_York"),
    name("EDT", -240, "Eastern Daylight Time", "America/New_York"),
    name("AKST", -540, "Alaska Standard Time", "America/Anchorage"),
    name("AKDT", -480, "Alaska Daylight Time", "America/Anchorage"),
    name("HST", -600, "Hawaii Standard Time", "Pacific/Honolulu"),
    name("AST", -240, "Atlantic Standard Time", "America/Halifax"),
    name("ADT", -180, "Atlantic Daylight Time", "America/Halifax"),
    name("NST", -210, "Newfoundland Standard Time", "America/St_Johns"),
    name("NDT", -150, "Newfoundland Daylight Time", "America/St_Johns"),
    name("BRT", -180, "Brasilia Time", "America/Sao_Paulo"),
    name("ART", -180, "Argentine Time", "America/Argentina/Buenos_Aires"),
    name("CLT", -240, "Chile Time", "America/Santiago"),
    name("CLST", -180, "Chile Summer Time", "America/Santiago"),
    name("COT", -300, "Colombia Time", "America/Bogota"),
    name("PET", -300, "Peru Time", "America/Lima"),
    name("VET", -240, "Venezuela Time", "America/Caracas"),
    name("UYT", -180, "Uruguay Time", "America/Montevideo"),
    name("WET", 0, "Western European Time", "Europe/Lisbon"),
    name("WEST", 60, "Western European Summer Time", "Europe/Lisbon"),
    name("BST", 60, "British Summer Time", "Europe/London"),
    name("IST", 330, "India Standard Time", "Asia/Kolkata"),
    name("IST", 60, "Irish Standard Time", "Europe/Dublin"),
    name("IST", 120, "Israel Standard Time", "Asia/Jerusalem"),
    name("IDT", 180, "Israel Daylight Time", "Asia/Jerusalem"),
    name("CET", 60, "Central European Time", "Europe/Paris"),
    name("CEST", 120, "Central European Summer Time", "Europe/Paris"),
    name("EET", 120, "Eastern European Time", "Europe/Bucharest"),
    name("EEST", 180, "Eastern European Summer Time", "Europe/Bucharest"),
    name("MSK", 180, "Moscow Standard Time", "Europe/Moscow"),
    name("TRT", 180, "Turkey Time", "Europe/Istanbul"),
    name("WAT", 60, "West Africa Time", "Africa/Lagos"),
    name("CAT", 120, "Central Africa Time", "Africa/Maputo"),
    name("EAT", 180, "Eastern Africa Time", "Africa/Nairobi"),
    name("SAST", 120, "South Africa Standard Time", "Africa/Johannesburg"),
    name("AST", 180, "Arabia Standard Time", "Asia/Riyadh"),
    name("GST", 240, "Gulf Standard Time", "Asia/Dubai"),
    name("PKT", 300, "Pakistan Time", "Asia/Karachi"),
    name("UZT", 300, "Uzbekistan Time", "Asia/Tashkent"),
    name("NPT", 345, "Nepal Time", "Asia/Kathmandu"),
    name("BDT", 360, "Bangladesh Time", "Asia/Dhaka"),
    name("ICT", 420, "Indochina Time", "Asia/Bangkok"),
    name("ICT", 420, "Indochina Time", "Asia/Ho_Chi_Minh"),
    name("WIB", 420, "West Indonesia Time", "Asia/Jakarta"),
    name("CST", 480, "China Standard Time", "Asia/Shanghai"),
    name("HKT", 480, "Hong Kong Time", "Asia/Hong_Kong"),
    name("SGT", 480, "Singapore Time", "Asia/Singapore"),
    name("MYT", 480, "Malaysia Time", "Asia/Kuala_Lumpur"),
    name("PST", 480, "Philippine Standard Time", "Asia/Manila"),
    name("AWST", 480, "Australian Western Standard Time", "Australia/Perth"),
    name("JST", 540, "Japan Standard Time", "Asia/Tokyo"),
    name("KST", 540, "Korea Standard Time", "Asia/Seoul"),
    name("ACST", 570, "Australian Central Standard Time", "Australia/Adelaide"),
    name("ACDT", 630, "Australian Central Daylight Time", "Australia/Adelaide"),
    name("AEST", 600, "Australian Eastern Standard Time", "Australia/Sydney"),
    name("AEDT", 660, "Australian Eastern Daylight Time", "Australia/Sydney"),
    name("NZST", 720, "New Zealand Standard Time", "Pacific/Auckland"),
    name("NZDT", 780, "New Zealand Daylight Time", "Pacific/Auckland"),
];
