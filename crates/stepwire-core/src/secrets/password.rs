//! Passwords and what else is drawn by lot.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stepwire_asl::{Json, Timestamp};

use crate::error::ApiError;
use crate::params::Params;
use crate::settings::Settings;

const LENGTH_MAX: i64 = 4_096;
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const NUMBERS: &str = "0123456789";
const PUNCTUATION: &str = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;

/// GetRandomPassword.
#[derive(Debug, Clone)]
pub struct Password {
    length: usize,
    /// The characters of each type that is included; no type is empty.
    types: Vec<Vec<char>>,
    /// Whether there is at least one of each.
    each: bool,
}

/// Draws by lot. Nobody without the node's key can tell what will be drawn.
#[derive(Debug)]
pub(super) struct Lots {
    mac: Hmac<Sha256>,
    block: u64,
    left: Vec<u8>,
}

impl Password {
    pub(super) fn parse(params: Params<'_>) -> Result<Password, ApiError> {
        params.only(&[
            "PasswordLength",
            "ExcludeCharacters",
            "ExcludeNumbers",
            "ExcludePunctuation",
            "ExcludeUppercase",
            "ExcludeLowercase",
            "IncludeSpace",
            "RequireEachIncludedType",
        ])?;
        let length = params.optional_int("PasswordLength")?.unwrap_or(32);
        if !(1..=LENGTH_MAX).contains(&length) {
            let constraint = if length < 1 {
                "Member must have value greater than or equal to 1".to_owned()
            } else {
                format!("Member must have value less than or equal to {LENGTH_MAX}")
            };
            return Err(params.broken("passwordLength", Some(&length.to_string()), &constraint));
        }
        let excluded = params.optional_text_within("ExcludeCharacters", 4_096)?.unwrap_or_default();
        let says = |name| Ok::<_, ApiError>(params.optional_bool(name)?.unwrap_or(false));
        let all = [
            (UPPERCASE, !says("ExcludeUppercase")?),
            (LOWERCASE, !says("ExcludeLowercase")?),
            (NUMBERS, !says("ExcludeNumbers")?),
            (PUNCTUATION, !says("ExcludePunctuation")?),
            (" ", says("IncludeSpace")?),
        ];
        let of = |of: &str| of.chars().filter(|c| !excluded.contains(*c)).collect::<Vec<_>>();
        let types = all.into_iter().filter(|(_, is)| *is).map(|(characters, _)| of(characters));
        let types: Vec<_> = types.filter(|characters| !characters.is_empty()).collect();
        let each = params.optional_bool("RequireEachIncludedType")?.unwrap_or(true);
        let length = length as usize;
        if types.is_empty() {
            let message = "The password cannot be made: every character is excluded.";
            return Err(ApiError::new("InvalidParameterException", message));
        }
        if each && length < types.len() {
            let message = "The password length is too short based on the required types.";
            return Err(ApiError::new("InvalidParameterException", message));
        }
        Ok(Password { length, types, each })
    }

    /// A password of this kind.
    pub(super) fn draw(&self, lots: &mut Lots) -> String {
        let mut drawn = Vec::with_capacity(self.length);
        if self.each {
            drawn.extend(self.types.iter().map(|of| of[lots.below(of.len())]));
        }
        let all: Vec<char> = self.types.iter().flatten().copied().collect();
        while drawn.len() < self.length {
            drawn.push(all[lots.below(all.len())]);
        }
        for at in (1..drawn.len()).rev() {
            drawn.swap(at, lots.below(at + 1));
        }
        drawn.into_iter().collect()
    }

    pub(super) fn answer(&self, lots: &mut Lots) -> Json {
        Json::object([("RandomPassword", self.draw(lots).into())])
    }
}

impl Lots {
    /// Lots for one purpose: others for another `kind`, time or `salt`.
    pub(super) fn new(settings: &Settings, kind: &str, now: Timestamp, salt: u64) -> Lots {
        let mut mac = Hmac::<Sha256>::new_from_slice(&settings.secret).expect("any length will do");
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(&now.0.to_be_bytes());
        mac.update(&salt.to_be_bytes());
        Lots { mac, block: 0, left: Vec::new() }
    }

    fn byte(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.left.pop() {
                return byte;
            }
            let mut mac = self.mac.clone();
            mac.update(&self.block.to_be_bytes());
            self.block += 1;
            self.left = mac.finalize().into_bytes().to_vec();
        }
    }

    /// A number below `end`, each as likely as the others; `end` is 1 to 65,536.
    fn below(&mut self, end: usize) -> usize {
        let fair = 65_536 - 65_536 % end;
        loop {
            let drawn = usize::from(u16::from_be_bytes([self.byte(), self.byte()]));
            if drawn < fair {
                return drawn % end;
            }
        }
    }

    /// Six letters or digits: the end of an ARN.
    pub(super) fn suffix(&mut self) -> String {
        let all: Vec<char> = [UPPERCASE, LOWERCASE, NUMBERS].concat().chars().collect();
        (0..6).map(|_| all[self.below(all.len())]).collect()
    }
}
