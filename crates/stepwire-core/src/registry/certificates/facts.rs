//! What a certificate says: read once, when it is registered.
//!
//! Source: RFC 5280; AWS IoT developer guide, "X.509 Certificate AWS IoT Core policy variables".

use crate::hex::hex;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Most values of one attribute; AWS ignores the rest.
const VALUES_MAX: usize = 5;
/// Longest PEM that a request may bring (`CertificatePem` of the service model).
const PEM_MAX: usize = 65_536;

/// An attribute that policies can name: `Subject.CommonName`, `Issuer.AlternativeName.DNSName`,
/// `SerialNumber`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Field(u8);

/// Attributes of a distinguished name with their object identifiers, then alternative names.
const ATTRIBUTES: [(&str, &str); 18] = [
    ("DistinguishedNameQualifier", "2.5.4.46"),
    ("Country", "2.5.4.6"),
    ("Organization", "2.5.4.10"),
    ("OrganizationalUnit", "2.5.4.11"),
    ("State", "2.5.4.8"),
    ("CommonName", "2.5.4.3"),
    ("SerialNumber", "2.5.4.5"),
    ("Title", "2.5.4.12"),
    ("Surname", "2.5.4.4"),
    ("GivenName", "2.5.4.42"),
    ("Initials", "2.5.4.43"),
    ("Pseudonym", "2.5.4.65"),
    ("GenerationQualifier", "2.5.4.44"),
    ("AlternativeName.RFC822Name", ""),
    ("AlternativeName.DNSName", ""),
    ("AlternativeName.DirectoryName", ""),
    ("AlternativeName.UniformResourceIdentifier", ""),
    ("AlternativeName.IPAddress", ""),
];
const ISSUER: u8 = 0;
const SUBJECT: u8 = ATTRIBUTES.len() as u8;
const SERIAL_NUMBER: Field = Field(2 * ATTRIBUTES.len() as u8);
const COMMON_NAME: u8 = 5;
const FIRST_ALTERNATIVE: usize = 13;

impl Field {
    /// The attribute called `name` after `iot:Certificate.`.
    pub fn parse(name: &str) -> Option<Field> {
        let (side, attribute) = match name.split_once('.') {
            Some(("Issuer", attribute)) => (ISSUER, attribute),
            Some(("Subject", attribute)) => (SUBJECT, attribute),
            _ => return (name == "SerialNumber").then_some(SERIAL_NUMBER),
        };
        let at = ATTRIBUTES.iter().position(|(known, _)| *known == attribute)?;
        Some(Field(side + at as u8))
    }

    /// The policy variable that stands for it.
    pub fn variable(self) -> String {
        let Field(number) = self;
        if self == SERIAL_NUMBER {
            return "iot:Certificate.SerialNumber".to_owned();
        }
        let (side, at) = match number.checked_sub(SUBJECT) {
            Some(at) => ("Subject", at),
            None => ("Issuer", number),
        };
        let name = ATTRIBUTES.get(usize::from(at)).map_or("", |(name, _)| *name);
        format!("iot:Certificate.{side}.{name}")
    }
}

/// What a certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// First second in which it is good, of the Unix epoch.
    pub not_before: i64,
    /// Last second in which it is good.
    pub not_after: i64,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// SHA-256 of the subject's DER.
    pub subject: [u8; 32],
    /// SHA-256 of the issuer's DER.
    pub issuer: [u8; 32],
    /// Values that policies can use, in order of their fields; none is empty.
    values: Vec<(Field, Vec<Arc<str>>)>,
}

/// A certificate as a request brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// SHA-256 of the DER, 64 hex digits.
    pub id: Arc<str>,
    /// PEM.
    pub pem: Arc<str>,
    /// What it says.
    pub facts: Facts,
}

impl Document {
    /// The certificate in `pem`; else what is wrong with it.
    pub fn parse(pem: &str) -> Result<Document, String> {
        if pem.len() > PEM_MAX {
            return Err(format!("it has {} characters, at most {PEM_MAX}", pem.len()));
        }
        let (_, block) = parse_x509_pem(pem.as_bytes())
            .map_err(|_| "it is not a certificate in PEM".to_owned())?;
        if block.label != "CERTIFICATE" {
            return Err(format!("it is a PEM block of `{}`, not of `CERTIFICATE`", block.label));
        }
        let facts = Facts::parse(&block.contents)?;
        Ok(Document { id: certificate_id(&block.contents), pem: pem.into(), facts })
    }
}

/// AWS's id of the certificate with these DER bytes: their SHA-256 in 64 lower-case hex digits.
pub fn certificate_id(der: &[u8]) -> Arc<str> {
    hex(&Sha256::digest(der)).into()
}

impl Facts {
    /// What the certificate with these DER bytes says.
    pub fn parse(der: &[u8]) -> Result<Facts, String> {
        let (rest, certificate) = X509Certificate::from_der(der)
            .map_err(|error| format!("it cannot be read: {error}"))?;
        if !rest.is_empty() {
            return Err("bytes follow the certificate".to_owned());
        }
        let mut facts = Facts {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            is_authority: certificate.is_ca(),
            subject: Sha256::digest(certificate.subject().as_raw()).into(),
            issuer: Sha256::digest(certificate.issuer().as_raw()).into(),
            values: Vec::new(),
        };
        facts.add_name(ISSUER, certificate.issuer());
        facts.add_name(SUBJECT, certificate.subject());
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::IssuerAlternativeName(names) => {
                    facts.add_alternatives(ISSUER, &names.general_names);
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    facts.add_alternatives(SUBJECT, &names.general_names);
                }
                _ => {}
            }
        }
        facts.add(SERIAL_NUMBER, certificate.tbs_certificate.serial.to_string());
        facts.values.sort_by_key(|(field, _)| *field);
        Ok(facts)
    }

    /// All values of an attribute, in the certificate's order; empty if it has none.
    pub fn values(&self, field: Field) -> &[Arc<str>] {
        match self.values.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(at) => &self.values[at].1,
            Err(_) => &[],
        }
    }

    /// Every attribute that has a value.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.values.iter().map(|(field, _)| *field)
    }

    /// The subject's common name.
    pub fn common_name(&self) -> Option<&Arc<str>> {
        self.values(Field(SUBJECT + COMMON_NAME)).first()
    }

    fn add(&mut self, field: Field, value: String) {
        let there = self.values.iter_mut().find(|(known, _)| *known == field);
        match there {
            Some((_, values)) if values.len() < VALUES_MAX => values.push(value.into()),
            Some(_) => {}
            None => self.values.push((field, vec![value.into()])),
        }
    }

    fn add_name(&mut self, side: u8, name: &X509Name<'_>) {
        for attribute in name.iter_attributes() {
            let oid = attribute.attr_type().to_id_string();
            let named = ATTRIBUTES[..FIRST_ALTERNATIVE].iter().position(|(_, known)| *known == oid);
            if let Some(at) = named {
                self.add(Field(side + at as u8), escaped(&text(attribute)));
            }
        }
    }

    fn add_alternatives(&mut self, side: u8, names: &[GeneralName<'_>]) {
        for name in names {
            let (at, value) = match name {
                GeneralName::RFC822Name(name) => (0, (*name).to_owned()),
                GeneralName::DNSName(name) => (1, (*name).to_owned()),
                GeneralName::DirectoryName(name) => (2, directory_name(name)),
                GeneralName::URI(name) => (3, (*name).to_owned()),
                GeneralName::IPAddress(bytes) => match address(bytes) {
                    Some(address) => (4, address.to_string()),
                    None => continue,
                },
                _ => continue,
            };
            self.add(Field(side + (FIRST_ALTERNATIVE + at) as u8), value);
        }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

fn text(attribute: &x509_parser::x509::AttributeTypeAndValue<'_>) -> String {
    match attribute.as_str() {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(attribute.as_slice()).into_owned(),
    }
}

/// A value as distinguished names write it: `O=a, b` is `O\=a\, b`.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, ',' | '"' | '\\' | '+' | '=' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// `cn=a,ou=b,o=c,c=d`: from the last to the first.
fn directory_name(name: &X509Name<'_>) -> String {
    const SHORT: [(&str, &str); 8] = [
        ("2.5.4.3", "cn"),
        ("2.5.4.11", "ou"),
        ("2.5.4.10", "o"),
        ("2.5.4.6", "c"),
        ("2.5.4.8", "st"),
        ("2.5.4.7", "l"),
        ("2.5.4.9", "street"),
        ("0.9.2342.19200300.100.1.25", "dc"),
    ];
    let mut parts: Vec<String> = name
        .iter_attributes()
        .map(|attribute| {
            let oid = attribute.attr_type().to_id_string();
            let short = SHORT.iter().find(|(known, _)| *known == oid);
            let key = short.map_or(oid.as_str(), |(_, short)| short);
            format!("{key}={}", escaped(&text(attribute)))
        })
        .collect();
    parts.reverse();
    parts.join(",")
}
