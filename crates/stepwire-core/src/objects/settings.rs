//! What is set on a bucket: documents that are kept as they were given, by operation.

use std::sync::Arc;

use stepwire_asl::Json;

use super::{Objects, Write, found_bucket, nothing, record, unreadable};
use crate::error::ApiError;
use crate::params::Params;
use crate::read::Read;

/// A document of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "as in the API")]
pub enum Kind {
    Acl,
    Cors,
    Encryption,
    Lifecycle,
    Notification,
    OwnershipControls,
    Policy,
    PublicAccessBlock,
    Tagging,
    Versioning,
}

/// What is asked about one.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The bucket.
    pub bucket: Arc<str>,
    /// Which document.
    pub kind: Kind,
    /// What is done with it.
    pub what: What,
}

/// What is done with a document.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It is shown.
    Get,
    /// It is this.
    Put(Arc<str>),
    /// There is none.
    Delete,
    /// Whether the policy makes the bucket public.
    PolicyStatus,
}

impl Kind {
    pub(super) const ALL: [Kind; 10] = [
        Kind::Acl,
        Kind::Cors,
        Kind::Encryption,
        Kind::Lifecycle,
        Kind::Notification,
        Kind::OwnershipControls,
        Kind::Policy,
        Kind::PublicAccessBlock,
        Kind::Tagging,
        Kind::Versioning,
    ];

    /// What operations are called after it, and the member that holds the document.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Kind::Acl => ("BucketAcl", "AccessControlPolicy"),
            Kind::Cors => ("BucketCors", "CORSConfiguration"),
            Kind::Encryption => ("BucketEncryption", "ServerSideEncryptionConfiguration"),
            Kind::Lifecycle => ("BucketLifecycleConfiguration", "LifecycleConfiguration"),
            Kind::Notification => ("BucketNotificationConfiguration", "NotificationConfiguration"),
            Kind::OwnershipControls => ("BucketOwnershipControls", "OwnershipControls"),
            Kind::Policy => ("BucketPolicy", "Policy"),
            Kind::PublicAccessBlock => ("PublicAccessBlock", "PublicAccessBlockConfiguration"),
            Kind::Tagging => ("BucketTagging", "Tagging"),
            Kind::Versioning => ("BucketVersioning", "VersioningConfiguration"),
        }
    }

    /// The name in the key of its record.
    pub(super) fn key(self) -> &'static str {
        self.names().0
    }

    /// The error when there is no such document. `None`: there always is one.
    fn missing(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Kind::Acl | Kind::Notification | Kind::Versioning | Kind::Encryption => return None,
            Kind::Cors => ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
            Kind::Lifecycle => {
                ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
            }
            Kind::OwnershipControls => {
                ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
            }
            Kind::Policy => ("NoSuchBucketPolicy", "The bucket policy does not exist"),
            Kind::PublicAccessBlock => (
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
            ),
            Kind::Tagging => ("NoSuchTagSet", "The TagSet does not exist"),
        })
    }
}

/// Documents that are not available here: operations that show them say that there are none.
const ABSENT: [(&str, &str, &str); 8] = [
    (
        "BucketWebsite",
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    (
        "BucketReplication",
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    (
        "ObjectLockConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    (
        "BucketAnalyticsConfiguration",
        "NoSuchConfiguration",
        "The specified configuration does not exist.",
    ),
    (
        "BucketMetricsConfiguration",
        "NoSuchConfiguration",
        "The specified configuration does not exist.",
    ),
    (
        "BucketInventoryConfiguration",
        "NoSuchConfiguration",
        "The specified configuration does not exist.",
    ),
    (
        "BucketIntelligentTieringConfiguration",
        "NoSuchConfiguration",
        "The specified configuration does not exist.",
    ),
    (
        "ObjectRetention",
        "NoSuchObjectLockConfiguration",
        "The specified object does not have a ObjectLock configuration",
    ),
];
/// Documents that are not available here and are empty.
const EMPTY: [&str; 3] = ["BucketLogging", "BucketAccelerateConfiguration", "BucketRequestPayment"];

impl Setting {
    /// The request of an operation on a document. `None`: it is no such operation.
    pub(super) fn parse(operation: &str, params: Params<'_>) -> Option<Result<Setting, ApiError>> {
        if operation == "GetBucketPolicyStatus" {
            return Some(Setting::of(Kind::Policy, What::PolicyStatus, params));
        }
        let operation = match operation {
            "DeleteBucketLifecycle" => "DeleteBucketLifecycleConfiguration",
            other => other,
        };
        let (verb, rest) = ["Get", "Put", "Delete"]
            .into_iter()
            .find_map(|verb| Some((verb, operation.strip_prefix(verb)?)))?;
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.names().0 == rest) else {
            return refusal(verb, rest);
        };
        Some(match verb {
            "Get" => Setting::of(kind, What::Get, params),
            "Put" => Setting::put(kind, params),
            _ => match kind {
                Kind::Acl | Kind::Notification | Kind::Versioning => return None,
                _ => Setting::of(kind, What::Delete, params),
            },
        })
    }

    fn of(kind: Kind, what: What, params: Params<'_>) -> Result<Setting, ApiError> {
        params.only(&["Bucket"])?;
        Ok(Setting { bucket: super::request::bucket(params)?, kind, what })
    }

    fn put(kind: Kind, params: Params<'_>) -> Result<Setting, ApiError> {
        let member = kind.names().1;
        let known = ["Bucket", member, "ContentMD5", "ChecksumAlgorithm", "ACL", "MFA"];
        let more = ["ConfirmRemoveSelfBucketAccess", "SkipDestinationValidation"];
        params.only(&[&known[..], &more].concat())?;
        let bucket = super::request::bucket(params)?;
        if kind == Kind::Acl {
            canned(params)?;
            return Ok(Setting { bucket, kind, what: What::Delete });
        }
        let document = params.get(member).ok_or_else(malformed)?;
        let text = match kind {
            Kind::Policy => policy(document, &bucket)?,
            Kind::Tagging => {
                super::tagging::parse(document, 50)?;
                document.to_text()
            }
            Kind::Versioning => versioning(document)?,
            Kind::Encryption => encryption(document)?,
            Kind::Lifecycle => super::lifecycle::check(document)?,
            Kind::Notification => super::notify::check(document)?,
            Kind::OwnershipControls => ownership(document)?,
            Kind::PublicAccessBlock => {
                Params::new(document, "MalformedXML").only(&[
                    "BlockPublicAcls",
                    "IgnorePublicAcls",
                    "BlockPublicPolicy",
                    "RestrictPublicBuckets",
                ])?;
                let flag = |name: &'static str| {
                    (name, document.member(name).and_then(truth).unwrap_or(false).into())
                };
                Json::object([
                    flag("BlockPublicAcls"),
                    flag("IgnorePublicAcls"),
                    flag("BlockPublicPolicy"),
                    flag("RestrictPublicBuckets"),
                ])
                .to_text()
            }
            Kind::Cors => rules(document, "CORSRules").map(|_| document.to_text())?,
            Kind::Acl => String::new(),
        };
        Ok(Setting { bucket, kind, what: What::Put(text.into()) })
    }

    /// Whether it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.what, What::Get | What::PolicyStatus)
    }

    /// What a request that reads is answered.
    pub(super) fn answer(&self, read: &dyn Read, account: &str) -> Result<Json, ApiError> {
        found_bucket(&self.bucket, read)?;
        let there = get(&self.bucket, self.kind, read)?;
        if self.what == What::PolicyStatus {
            there.ok_or_else(|| self.absent())?;
            let status = Json::object([("IsPublic", false.into())]);
            return Ok(Json::object([("PolicyStatus", status)]));
        }
        let member = self.kind.names().1;
        let there = match (there, self.kind) {
            (Some(there), _) => there,
            (None, Kind::Acl) => return Ok(private(account)),
            (None, Kind::Notification | Kind::Versioning) => return Ok(nothing()),
            (None, Kind::Encryption) => {
                let by = Json::object([("SSEAlgorithm", "AES256".into())]);
                let rule = Json::object([
                    ("ApplyServerSideEncryptionByDefault", by),
                    ("BucketKeyEnabled", false.into()),
                ]);
                Json::object([("Rules", Json::array([rule]))])
            }
            (None, _) => return Err(self.absent()),
        };
        Ok(match self.kind {
            // These answers are the document, not a member that holds it.
            Kind::Cors
            | Kind::Lifecycle
            | Kind::Notification
            | Kind::Tagging
            | Kind::Versioning => there,
            Kind::Policy => Json::object([(member, there.to_text().into())]),
            _ => Json::object([(member, there)]),
        })
    }

    fn absent(&self) -> ApiError {
        let (code, message) = self.kind.missing().unwrap_or(("InternalError", "not set"));
        ApiError::new(code, message).with("BucketName", Json::String(Arc::clone(&self.bucket)))
    }
}

impl Objects {
    pub(super) fn set(
        &mut self,
        setting: &Setting,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) -> Result<Json, ApiError> {
        found_bucket(&setting.bucket, read)?;
        let document = match &setting.what {
            What::Put(document) => {
                if setting.kind == Kind::Versioning
                    && document.contains("Suspended")
                    && get(&setting.bucket, Kind::Versioning, read)?.is_none()
                {
                    // Objects are kept as in a bucket that never had versions.
                    Some(document.clone())
                } else {
                    Some(document.clone())
                }
            }
            What::Delete | What::Get | What::PolicyStatus => None,
        };
        self.record(Write::Setting(Arc::clone(&setting.bucket), setting.kind, document), out);
        if setting.kind == Kind::Lifecycle {
            // A new one is gone through at once.
            self.record(Write::Passed(Arc::clone(&setting.bucket), None), out);
        }
        Ok(nothing())
    }

    /// Every document of a bucket is gone with it.
    pub(super) fn drop_settings(
        &mut self,
        bucket: &Arc<str>,
        read: &dyn Read,
        out: &mut Vec<Write>,
    ) {
        for kind in Kind::ALL {
            if read.get(&record::setting_key(bucket, kind)).is_some() {
                self.record(Write::Setting(Arc::clone(bucket), kind, None), out);
                if kind == Kind::Lifecycle {
                    self.record(Write::Passed(Arc::clone(bucket), None), out);
                }
            }
        }
    }
}

/// Reads every document of a bucket.
pub(super) fn touch_all(bucket: &str, read: &dyn Read) {
    for kind in Kind::ALL {
        read.get(&record::setting_key(bucket, kind));
    }
}

/// A document of a bucket, if it has one.
pub(super) fn get(bucket: &str, kind: Kind, read: &dyn Read) -> Result<Option<Json>, ApiError> {
    let key = record::setting_key(bucket, kind);
    let Some(stored) = read.get(&key) else { return Ok(None) };
    let text: String = record::record(&key, &stored).map_err(|corrupt| unreadable(&corrupt))?;
    Ok(Json::parse(&text).ok())
}

/// Why an operation on a document is refused that is not available here.
fn refusal(verb: &str, rest: &str) -> Option<Result<Setting, ApiError>> {
    let absent = ABSENT.iter().find(|(name, ..)| *name == rest);
    let (_, code, message) = match absent {
        Some(absent) => *absent,
        None if EMPTY.contains(&rest) => ("", "", ""),
        None => return None,
    };
    Some(Err(match verb {
        "Get" if !code.is_empty() => ApiError::new(code, message),
        _ => {
            let message = format!("`{verb}{rest}` is refused: it is not available in stepwire");
            ApiError::new("NotImplemented", message)
        }
    }))
}

/// ACLs are off, as in every new bucket of AWS's: only those that change nothing are taken.
pub(super) fn canned(params: Params<'_>) -> Result<(), ApiError> {
    let given = params.optional_text("ACL")?;
    let known = [None, Some("private"), Some("bucket-owner-full-control")];
    if known.contains(&given) {
        return Ok(());
    }
    Err(ApiError::new("AccessControlListNotSupported", "The bucket does not allow ACLs"))
}

/// The ACL of everything: all of it is the account's.
pub(super) fn private(account: &str) -> Json {
    let owner = Json::object([("ID", Json::from(account))]);
    let grantee = Json::object([("ID", Json::from(account)), ("Type", "CanonicalUser".into())]);
    let grant = Json::object([("Grantee", grantee), ("Permission", "FULL_CONTROL".into())]);
    Json::object([("Owner", owner), ("Grants", Json::array([grant]))])
}

fn policy(document: &Json, bucket: &str) -> Result<String, ApiError> {
    let malformed = |why: &str| ApiError::new("MalformedPolicy", why);
    let parsed = match document {
        Json::String(text) => Json::parse(text)
            .map_err(|_| malformed("Policies must be valid JSON and the first byte must be '{'"))?,
        other => other.clone(),
    };
    if parsed.as_object().is_none() {
        return Err(malformed("Policies must be valid JSON and the first byte must be '{'"));
    }
    let statements = match parsed.member("Statement") {
        Some(Json::Array(statements)) if !statements.is_empty() => statements.as_ref(),
        Some(one @ Json::Object(_)) => std::slice::from_ref(one),
        _ => return Err(malformed("Missing required field Statement")),
    };
    for statement in statements {
        let has = |names: [&str; 2]| names.iter().any(|name| statement.member(name).is_some());
        if !has(["Effect", "Effect"]) {
            return Err(malformed("Missing required field Effect"));
        }
        if !has(["Principal", "NotPrincipal"]) {
            return Err(malformed("Missing required field Principal"));
        }
        if !has(["Action", "NotAction"]) {
            return Err(malformed("Missing required field Action"));
        }
        let resources =
            match statement.member("Resource").or_else(|| statement.member("NotResource")) {
                Some(Json::Array(resources)) => resources.to_vec(),
                Some(one) => vec![one.clone()],
                None => return Err(malformed("Missing required field Resource")),
            };
        let names = |resource: &Json| {
            let resource = resource.as_str().unwrap_or_default();
            let place = resource.strip_prefix("arn:aws:s3:::").unwrap_or_default();
            let named = place.split('/').next().unwrap_or_default();
            named == bucket || named.contains(['*', '?'])
        };
        if !resources.iter().all(names) {
            return Err(malformed("Policy has invalid resource"));
        }
    }
    Ok(parsed.to_text())
}

fn versioning(document: &Json) -> Result<String, ApiError> {
    let params = Params::new(document, "MalformedXML");
    params.only(&["Status", "MFADelete"])?;
    if params.optional_text("MFADelete")? == Some("Enabled") {
        let message = "`MFADelete` is not available in stepwire";
        return Err(ApiError::new("NotImplemented", message));
    }
    match params.optional_text("Status")? {
        Some(status @ ("Enabled" | "Suspended")) => {
            Ok(Json::object([("Status", status.into())]).to_text())
        }
        _ => {
            let message = "The Versioning element must be specified";
            Err(ApiError::new("IllegalVersioningConfigurationException", message))
        }
    }
}

fn encryption(document: &Json) -> Result<String, ApiError> {
    for rule in rules(document, "Rules")? {
        let by = rule.member("ApplyServerSideEncryptionByDefault");
        let algorithm = by.and_then(|by| by.member("SSEAlgorithm")).and_then(Json::as_str);
        let known = ["AES256", "aws:kms", "aws:kms:dsse"];
        if by.is_some() && !algorithm.is_some_and(|algorithm| known.contains(&algorithm)) {
            return Err(malformed());
        }
    }
    Ok(document.to_text())
}

fn ownership(document: &Json) -> Result<String, ApiError> {
    for rule in rules(document, "Rules")? {
        match rule.member("ObjectOwnership").and_then(Json::as_str) {
            Some("BucketOwnerEnforced" | "BucketOwnerPreferred" | "ObjectWriter") => {}
            _ => return Err(malformed()),
        }
    }
    Ok(document.to_text())
}

/// The entries of a document that is a list.
pub(super) fn rules<'a>(document: &'a Json, name: &str) -> Result<&'a [Json], ApiError> {
    let rules = document.member(name).and_then(Json::as_array).unwrap_or_default();
    if rules.is_empty() { Err(malformed()) } else { Ok(rules) }
}

/// A truth value, or what a form or a template made of one.
pub(super) fn truth(value: &Json) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// The error that a document is not of its schema.
pub(super) fn malformed() -> ApiError {
    let message = "The XML you provided was not well-formed or did not validate against our \
                   published schema";
    ApiError::new("MalformedXML", message)
}
