//! Requests, parsed once.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::{Json, Timestamp};

use super::checksum::{Algorithm, Checksum};
use super::list::List;
use super::pending::{Parts, Uploads};
use super::record::{Body, Headers};
use super::settings::{self, Setting, What};
use super::tagging;
use super::versions::Versions;
use crate::error::ApiError;
use crate::params::Params;

/// Longest name of an object, bytes.
const KEY_MAX: usize = 1_024;
/// Most bytes of names and values of user metadata.
const METADATA_MAX: usize = 2_048;
/// Most objects that one DeleteObjects names.
const DELETE_MAX: usize = 1_000;
/// Largest number of a part.
const PART_MAX: i64 = 10_000;

/// Members that an object keeps and shows again.
pub(super) const STANDARD_HEADERS: [&str; 6] = [
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
];

/// A request of the S3 API.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the operations of the API")]
pub enum Request {
    CreateBucket {
        bucket: Arc<str>,
    },
    DeleteBucket {
        bucket: Arc<str>,
    },
    HeadBucket {
        bucket: Arc<str>,
    },
    ListBuckets(Buckets),
    GetBucketLocation {
        bucket: Arc<str>,
    },
    PutObject(Box<Put>),
    GetObject(Box<Get>),
    HeadObject(Box<Get>),
    CopyObject(Box<Copy>),
    DeleteObject {
        name: Name,
        version: Option<Arc<str>>,
    },
    DeleteObjects {
        bucket: Arc<str>,
        keys: Vec<(Arc<str>, Option<Arc<str>>)>,
        quiet: bool,
    },
    ListObjectVersions(Versions),
    Setting(Setting),
    ObjectAcl {
        name: Name,
        version: Option<Arc<str>>,
        puts: bool,
    },
    GetObjectTagging {
        name: Name,
        version: Option<Arc<str>>,
    },
    PutObjectTagging {
        name: Name,
        version: Option<Arc<str>>,
        tagging: Option<Arc<str>>,
    },
    UploadPartCopy(Box<PartCopy>),
    /// Not of the API: the rim stores what arrives as it arrives, from chunk `index` on.
    Stage {
        body: Option<u64>,
        index: u64,
        bytes: Bytes,
    },
    /// Not of the API: what the rim has stored will not be used.
    Unstage(u64),
    ListObjects(Box<List>),
    ListObjectsV2(Box<List>),
    CreateMultipartUpload(Box<Create>),
    UploadPart(Box<UploadPart>),
    CompleteMultipartUpload(Box<Complete>),
    AbortMultipartUpload {
        name: Name,
        upload: Arc<str>,
    },
    ListParts(Box<Parts>),
    ListMultipartUploads(Box<Uploads>),
}

/// An object's place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Name {
    pub bucket: Arc<str>,
    pub key: Arc<str>,
}

/// ListBuckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Only those whose names begin so.
    pub prefix: Arc<str>,
    /// Only those after this name.
    pub after: Arc<str>,
    /// At most so many.
    pub max: usize,
}

/// What must be so for a request to be carried out: `If-Match` and the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// The object is there and has this ETag, or any for `*`.
    pub matches: Option<Arc<str>>,
    /// The object is not there, or has another ETag than this.
    pub differs: Option<Arc<str>>,
    /// The object was changed after this.
    pub after: Option<Timestamp>,
    /// The object was not changed after this.
    pub until: Option<Timestamp>,
}

/// PutObject.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// Where to.
    pub name: Name,
    /// The bytes.
    pub body: Bytes,
    /// The bytes, when they are stored already.
    pub staged: Option<Staged>,
    /// What is kept with them.
    pub headers: Headers,
    /// How they are checked.
    pub check: Check,
    /// When to.
    pub condition: Condition,
}

/// GetObject and HeadObject.
#[derive(Debug, Clone, PartialEq)]
pub struct Get {
    /// Which.
    pub name: Name,
    /// `Range` as it was given.
    pub range: Option<Arc<str>>,
    /// When to.
    pub condition: Condition,
    /// Whether the answer holds the checksum.
    pub checksum: bool,
    /// Which version.
    pub version: Option<Arc<str>>,
    /// Only this part of an object that was uploaded in parts.
    pub part: Option<u64>,
    /// Headers of the answer in place of those that are kept.
    pub shown_as: Vec<(Arc<str>, Arc<str>)>,
}

/// CopyObject.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// What.
    pub source: Name,
    /// Where to.
    pub target: Name,
    /// What is kept with it in place of what the source has.
    pub headers: Option<Headers>,
    /// Which version of the source.
    pub version: Option<Arc<str>>,
    /// When to.
    pub condition: Condition,
    /// Tags in place of those that the source has.
    pub tagging: Option<Arc<str>>,
    /// How the copy is checked.
    pub algorithm: Option<Algorithm>,
}

/// UploadPartCopy.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in `Copy` and `UploadPart`")]
pub struct PartCopy {
    pub source: Name,
    pub version: Option<Arc<str>>,
    pub condition: Condition,
    pub range: Option<Arc<str>>,
    pub part: UploadPart,
}

/// CreateMultipartUpload.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in `Put`")]
pub struct Create {
    pub name: Name,
    pub headers: Headers,
    pub algorithm: Option<Algorithm>,
    /// Whether the checksum is one over the whole object.
    pub whole: bool,
}

/// UploadPart.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in `Put`")]
pub struct UploadPart {
    pub name: Name,
    pub upload: Arc<str>,
    pub number: u64,
    pub body: Bytes,
    pub staged: Option<Staged>,
    pub check: Check,
}

/// CompleteMultipartUpload.
#[derive(Debug, Clone, PartialEq)]
pub struct Complete {
    /// Name of the object.
    pub name: Name,
    /// Which upload.
    pub upload: Arc<str>,
    /// Numbers and ETags, without quotes, of the parts that the object is made of.
    pub parts: Vec<(u64, Arc<str>)>,
    /// Checksums of parts that are given, by number, in base64.
    pub checksums: Vec<(u64, Algorithm, Box<str>)>,
    /// When to.
    pub condition: Condition,
    /// What its bytes must sum up to.
    pub checksum: Option<Checksum>,
    /// How many bytes it must have.
    pub size: Option<u64>,
}

/// Bytes that were stored as they arrived, and what was found of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// Where they are.
    pub body: Body,
    /// Their MD5.
    pub md5: [u8; 16],
    /// Their checksums that somebody may ask for.
    pub checksums: Vec<Checksum>,
}

/// What the bytes that arrive must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// `Content-MD5`, in base64.
    pub md5: Option<Arc<str>>,
    /// How to sum them up, when the value was not sent along.
    pub algorithm: Option<Algorithm>,
    /// Their checksum.
    pub checksum: Option<Checksum>,
}

impl Request {
    /// Whom a bucket is to tell of its objects by this request.
    pub(crate) fn destinations(&self) -> Vec<super::Destination> {
        match self {
            Request::Setting(Setting {
                kind: super::SettingKind::Notification,
                what: What::Put(document),
                ..
            }) => super::destinations(document),
            _ => Vec::new(),
        }
    }

    /// The bucket that something is set on by this request.
    pub(crate) fn bucket(&self) -> &str {
        match self {
            Request::Setting(setting) => &setting.bucket,
            _ => "",
        }
    }

    /// The request that `body` makes of an operation; bytes are added by [`Request::with_body`].
    /// `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "InvalidArgument");
        Some(match operation {
            "CreateBucket" => create_bucket(params),
            "DeleteBucket" => only_bucket(params).map(|bucket| Request::DeleteBucket { bucket }),
            "HeadBucket" => only_bucket(params).map(|bucket| Request::HeadBucket { bucket }),
            "GetBucketLocation" => {
                only_bucket(params).map(|bucket| Request::GetBucketLocation { bucket })
            }
            "ListBuckets" => Buckets::parse(params).map(Request::ListBuckets),
            "PutObject" => Put::parse(params).map(Box::new).map(Request::PutObject),
            "GetObject" => Get::parse(params).map(Box::new).map(Request::GetObject),
            "HeadObject" => Get::parse(params).map(Box::new).map(Request::HeadObject),
            "CopyObject" => Copy::parse(params).map(Box::new).map(Request::CopyObject),
            "DeleteObject" => {
                versioned(params).map(|(name, version)| Request::DeleteObject { name, version })
            }
            "ListObjectVersions" => Versions::parse(params).map(Request::ListObjectVersions),
            "GetObjectTagging" => {
                versioned(params).map(|(name, version)| Request::GetObjectTagging { name, version })
            }
            "DeleteObjectTagging" => versioned(params)
                .map(|(name, version)| Request::PutObjectTagging { name, version, tagging: None }),
            "PutObjectTagging" => put_tagging(params),
            "GetObjectAcl" => versioned(params).map(|(name, version)| Request::ObjectAcl {
                name,
                version,
                puts: false,
            }),
            "PutObjectAcl" => put_acl(params),
            "UploadPartCopy" => PartCopy::parse(params).map(Box::new).map(Request::UploadPartCopy),
            "SelectObjectContent"
            | "RestoreObject"
            | "GetObjectTorrent"
            | "GetObjectAttributes"
            | "PutObjectLegalHold"
            | "GetObjectLegalHold"
            | "PutObjectRetention"
            | "CreateSession"
            | "RenameObject"
            | "WriteGetObjectResponse" => {
                let message = format!("`{operation}` is refused: it is not available in stepwire");
                Err(ApiError::new("NotImplemented", message))
            }
            "DeleteObjects" => delete_objects(params),
            "ListObjects" => List::parse_v1(params).map(Box::new).map(Request::ListObjects),
            "ListObjectsV2" => List::parse_v2(params).map(Box::new).map(Request::ListObjectsV2),
            "CreateMultipartUpload" => {
                Create::parse(params).map(Box::new).map(Request::CreateMultipartUpload)
            }
            "UploadPart" => UploadPart::parse(params).map(Box::new).map(Request::UploadPart),
            "CompleteMultipartUpload" => {
                Complete::parse(params).map(Box::new).map(Request::CompleteMultipartUpload)
            }
            "AbortMultipartUpload" => only_upload(params)
                .map(|(name, upload)| Request::AbortMultipartUpload { name, upload }),
            "ListParts" => Parts::parse(params).map(Box::new).map(Request::ListParts),
            "ListMultipartUploads" => {
                Uploads::parse(params).map(Box::new).map(Request::ListMultipartUploads)
            }
            _ => return Setting::parse(operation, params).map(|set| set.map(Request::Setting)),
        })
    }

    /// The same request with these bytes, if it takes any.
    #[must_use]
    pub fn with_body(mut self, bytes: Bytes) -> Request {
        match &mut self {
            Request::PutObject(put) => put.body = bytes,
            Request::UploadPart(part) => part.body = bytes,
            _ => {}
        }
        self
    }

    /// The same request with bytes that are stored already, if it takes any.
    #[must_use]
    pub fn with_staged(mut self, staged: Staged) -> Request {
        match &mut self {
            Request::PutObject(put) => put.staged = Some(staged),
            Request::UploadPart(part) => part.staged = Some(staged),
            _ => {}
        }
        self
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::HeadBucket { .. }
            | Request::ListBuckets(_)
            | Request::ListObjectVersions(_)
            | Request::GetObjectTagging { .. }
            | Request::ObjectAcl { .. }
            | Request::GetBucketLocation { .. }
            | Request::GetObject(_)
            | Request::HeadObject(_)
            | Request::ListObjects(_)
            | Request::ListObjectsV2(_)
            | Request::ListParts(_)
            | Request::ListMultipartUploads(_) => true,
            Request::Setting(setting) => setting.is_read(),
            Request::CreateBucket { .. }
            | Request::DeleteBucket { .. }
            | Request::PutObject(_)
            | Request::CopyObject(_)
            | Request::DeleteObject { .. }
            | Request::PutObjectTagging { .. }
            | Request::UploadPartCopy(_)
            | Request::Stage { .. }
            | Request::Unstage(_)
            | Request::DeleteObjects { .. }
            | Request::CreateMultipartUpload(_)
            | Request::UploadPart(_)
            | Request::CompleteMultipartUpload(_)
            | Request::AbortMultipartUpload { .. } => false,
        }
    }
}

fn create_bucket(params: Params<'_>) -> Result<Request, ApiError> {
    // A bucket is in this node's region whatever the constraint says.
    params.only(&["Bucket", "CreateBucketConfiguration", "ACL", "ObjectOwnership"])?;
    let bucket = bucket(params)?;
    let labels = bucket.split('.').all(|label| {
        let ends = label.as_bytes().first().zip(label.as_bytes().last());
        ends.is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
    });
    let letters = bucket.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'));
    if !(3..=63).contains(&bucket.len()) || !labels || !letters || is_reserved(&bucket) {
        return Err(invalid_bucket());
    }
    Ok(Request::CreateBucket { bucket })
}

/// Whether a name is kept for something else: an IPv4 address, an alias of an access point.
/// Source: Amazon S3 user guide, "General purpose bucket naming rules".
fn is_reserved(bucket: &str) -> bool {
    let address = bucket.split('.').count() == 4
        && bucket.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    address
        || ["xn--", "sthree-"].iter().any(|begin| bucket.starts_with(begin))
        || ["-s3alias", "--ol-s3"].iter().any(|end| bucket.ends_with(end))
}

fn invalid_bucket() -> ApiError {
    ApiError::new("InvalidBucketName", "The specified bucket is not valid.")
}

fn only_bucket(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    params.only(&["Bucket"])?;
    bucket(params)
}

/// The bucket that a request names. Names that no bucket can have are those of buckets that are not
/// there.
pub(super) fn bucket(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let name = params.text("Bucket")?;
    if name.is_empty() || name.len() > 255 || name.contains('\0') {
        return Err(invalid_bucket());
    }
    Ok(name.into())
}

pub(super) fn name(params: Params<'_>) -> Result<Name, ApiError> {
    Ok(Name { bucket: bucket(params)?, key: key(params.text("Key")?)? })
}

fn key(text: &str) -> Result<Arc<str>, ApiError> {
    match text.len() {
        0 => Err(ApiError::new("InvalidArgument", "The key must not be empty")),
        1..=KEY_MAX => Ok(text.into()),
        _ => Err(ApiError::new("KeyTooLongError", "Your key is too long")),
    }
}

fn versioned(params: Params<'_>) -> Result<(Name, Option<Arc<str>>), ApiError> {
    params.only(&["Bucket", "Key", "VersionId"])?;
    Ok((name(params)?, version(params)?))
}

fn version(params: Params<'_>) -> Result<Option<Arc<str>>, ApiError> {
    Ok(params.optional_text("VersionId")?.filter(|id| !id.is_empty()).map(Arc::from))
}

fn put_tagging(params: Params<'_>) -> Result<Request, ApiError> {
    let known = ["Bucket", "Key", "VersionId", "Tagging", "ContentMD5", "ChecksumAlgorithm"];
    params.only(&known)?;
    let given = params.get("Tagging").ok_or_else(settings::malformed)?;
    let tagging = Some(tagging::parse(given, tagging::OBJECT_MAX)?);
    Ok(Request::PutObjectTagging { name: name(params)?, version: version(params)?, tagging })
}

fn put_acl(params: Params<'_>) -> Result<Request, ApiError> {
    let known = ["Bucket", "Key", "VersionId", "ACL", "AccessControlPolicy", "ContentMD5"];
    params.only(&[&known[..], &["ChecksumAlgorithm"]].concat())?;
    settings::canned(params)?;
    if params.get("AccessControlPolicy").is_some() {
        let message = "The bucket does not allow ACLs";
        return Err(ApiError::new("AccessControlListNotSupported", message));
    }
    Ok(Request::ObjectAcl { name: name(params)?, version: version(params)?, puts: true })
}

impl Buckets {
    fn parse(params: Params<'_>) -> Result<Buckets, ApiError> {
        // All buckets are in one region.
        params.only(&["MaxBuckets", "ContinuationToken", "Prefix", "BucketRegion"])?;
        let max = params.optional_int("MaxBuckets")?.unwrap_or(10_000);
        if !(1..=10_000).contains(&max) {
            let message = "Argument max-buckets must be an integer between 1 and 10000";
            return Err(ApiError::new("InvalidArgument", message));
        }
        Ok(Buckets {
            prefix: params.optional_text("Prefix")?.unwrap_or_default().into(),
            after: params.optional_text("ContinuationToken")?.unwrap_or_default().into(),
            max: max as usize,
        })
    }
}

fn only_upload(params: Params<'_>) -> Result<(Name, Arc<str>), ApiError> {
    params.only(&["Bucket", "Key", "UploadId"])?;
    Ok((name(params)?, upload(params)?))
}

pub(super) fn upload(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let id = params.text("UploadId")?;
    if id.contains('\0') { Err(super::no_upload()) } else { Ok(id.into()) }
}

fn delete_objects(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Bucket", "Delete", "ChecksumAlgorithm", "ContentMD5"])?;
    let malformed = || {
        let message = "The XML you provided was not well-formed or did not validate against our \
                       published schema";
        ApiError::new("MalformedXML", message)
    };
    let delete = params.get("Delete").ok_or_else(malformed)?;
    let objects = delete.member("Objects").and_then(Json::as_array).ok_or_else(malformed)?;
    if objects.is_empty() || objects.len() > DELETE_MAX {
        return Err(malformed());
    }
    let keys = objects.iter().map(|object| {
        let params = Params::new(object, "InvalidArgument");
        params.only(&["Key", "VersionId"])?;
        let key = key(object.member("Key").and_then(Json::as_str).ok_or_else(malformed)?)?;
        Ok((key, version(params)?))
    });
    let quiet = delete.member("Quiet").and_then(Json::as_bool).unwrap_or(false);
    Ok(Request::DeleteObjects {
        bucket: bucket(params)?,
        keys: keys.collect::<Result<_, _>>()?,
        quiet,
    })
}

const CONDITION: [&str; 4] = ["IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince"];
const SOURCE: [&str; 5] = [
    "CopySource",
    "CopySourceIfMatch",
    "CopySourceIfNoneMatch",
    "CopySourceIfModifiedSince",
    "CopySourceIfUnmodifiedSince",
];
/// Members of an answer that a request can set, by what they are called in the request.
const SHOWN_AS: [(&str, &str); 6] = [
    ("ResponseCacheControl", "CacheControl"),
    ("ResponseContentDisposition", "ContentDisposition"),
    ("ResponseContentEncoding", "ContentEncoding"),
    ("ResponseContentLanguage", "ContentLanguage"),
    ("ResponseContentType", "ContentType"),
    ("ResponseExpires", "Expires"),
];
const CHECK: [&str; 7] = [
    "ContentMD5",
    "ChecksumAlgorithm",
    "ChecksumCRC32",
    "ChecksumCRC32C",
    "ChecksumCRC64NVME",
    "ChecksumSHA1",
    "ChecksumSHA256",
];
/// Accepted where they ask for what is so anyway; those of encryption without effect.
const AS_IT_IS: [&str; 5] =
    ["StorageClass", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "ACL"];
const ENCRYPTIONS: [&str; 3] = ["AES256", "aws:kms", "aws:kms:dsse"];

fn only(params: Params<'_>, lists: &[&[&str]]) -> Result<(), ApiError> {
    params.only(&lists.concat())?;
    if params.optional_text("StorageClass")?.is_some_and(|given| given != "STANDARD") {
        let message = "`StorageClass` can only be `STANDARD` in stepwire";
        return Err(ApiError::new("NotImplemented", message));
    }
    if let Some(given) = params.optional_text("ServerSideEncryption")?
        && !ENCRYPTIONS.contains(&given)
    {
        let message = format!("`ServerSideEncryption` can be {}", ENCRYPTIONS.join(", "));
        return Err(ApiError::new("InvalidArgument", message));
    }
    settings::canned(params)
}

impl Put {
    fn parse(params: Params<'_>) -> Result<Put, ApiError> {
        let own: [&str; 4] = ["Bucket", "Key", "Metadata", "Tagging"];
        only(params, &[&own, &STANDARD_HEADERS, &CONDITION, &CHECK, &AS_IT_IS])?;
        Ok(Put {
            name: name(params)?,
            body: Bytes::new(),
            headers: headers(params)?,
            check: Check::parse(params)?,
            condition: Condition::parse(params)?,
            staged: None,
        })
    }
}

impl Get {
    fn parse(params: Params<'_>) -> Result<Get, ApiError> {
        let own = ["Bucket", "Key", "Range", "ChecksumMode", "VersionId", "PartNumber"];
        let shown_as = SHOWN_AS.map(|(member, _)| member);
        only(params, &[&own, &CONDITION, &shown_as])?;
        let mut shown_as = Vec::new();
        for (member, shown) in SHOWN_AS {
            let given = params.optional_text(member)?;
            shown_as.extend(given.map(|given| (Arc::from(shown), Arc::from(given))));
        }
        let part = params.optional_int("PartNumber")?.map(part_number).transpose()?;
        if part.is_some() && params.get("Range").is_some() {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(ApiError::new("InvalidRequest", message));
        }
        Ok(Get {
            version: version(params)?,
            part,
            shown_as,
            name: name(params)?,
            range: params.optional_text("Range")?.map(Arc::from),
            condition: Condition::parse(params)?,
            checksum: params.optional_text("ChecksumMode")? == Some("ENABLED"),
        })
    }
}

/// The object that a copy is made of, and which version.
fn source(params: Params<'_>) -> Result<(Name, Option<Arc<str>>), ApiError> {
    let source = params.text("CopySource")?;
    let source = source.strip_prefix('/').unwrap_or(source);
    let (place, version) = match source.rsplit_once("?versionId=") {
        Some((place, version)) => (place, Some(version.into())),
        None => (source, None),
    };
    // An access point's ARN would have its name here.
    let (from, what) = place.split_once('/').unwrap_or_default();
    if from.is_empty() || from.contains('\0') || from.starts_with("arn:") {
        let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        return Err(ApiError::new("InvalidArgument", message));
    }
    Ok((Name { bucket: from.into(), key: key(what)? }, version))
}

impl Copy {
    fn parse(params: Params<'_>) -> Result<Copy, ApiError> {
        let own = ["Bucket", "Key", "MetadataDirective", "Metadata", "Tagging", "TaggingDirective"];
        let more = ["ChecksumAlgorithm"];
        only(params, &[&own, &SOURCE, &STANDARD_HEADERS, &AS_IT_IS, &more])?;
        let directive = |name| match params.optional_text(name)? {
            None | Some("COPY") => Ok(false),
            Some("REPLACE") => Ok(true),
            Some(_) => {
                let message = format!(
                    "Unknown {} directive.",
                    name.trim_end_matches("Directive").to_ascii_lowercase()
                );
                Err(ApiError::new("InvalidArgument", message))
            }
        };
        let replaces = directive("MetadataDirective")?;
        let retags = directive("TaggingDirective")?;
        let tagging = params.optional_text("Tagging")?.map(tagging::from_header).transpose()?;
        let (source, version) = source(params)?;
        Ok(Copy {
            source,
            version,
            target: name(params)?,
            headers: replaces.then(|| headers(params)).transpose()?,
            condition: Condition::of_source(params)?,
            tagging: retags.then(|| tagging.unwrap_or_default()),
            algorithm: algorithm(params)?,
        })
    }
}

impl PartCopy {
    fn parse(params: Params<'_>) -> Result<PartCopy, ApiError> {
        let own = ["Bucket", "Key", "UploadId", "PartNumber", "CopySourceRange"];
        only(params, &[&own, &SOURCE])?;
        let (source, version) = source(params)?;
        let part = UploadPart {
            name: name(params)?,
            upload: upload(params)?,
            number: part_number(params.optional_int("PartNumber")?.unwrap_or(0))?,
            body: Bytes::new(),
            staged: None,
            check: Check::default(),
        };
        let range = params.optional_text("CopySourceRange")?.map(Arc::from);
        Ok(PartCopy { source, version, condition: Condition::of_source(params)?, range, part })
    }
}

fn part_number(number: i64) -> Result<u64, ApiError> {
    if (1..=PART_MAX).contains(&number) {
        return Ok(number as u64);
    }
    let message = format!("Part number must be an integer between 1 and {PART_MAX}, inclusive");
    Err(ApiError::new("InvalidArgument", message))
}

impl Create {
    fn parse(params: Params<'_>) -> Result<Create, ApiError> {
        let own = ["Bucket", "Key", "Metadata", "ChecksumAlgorithm", "ChecksumType", "Tagging"];
        only(params, &[&own, &STANDARD_HEADERS, &AS_IT_IS])?;
        let algorithm = algorithm(params)?;
        let whole = match (params.optional_text("ChecksumType")?, algorithm) {
            (None | Some("FULL_OBJECT"), Some(Algorithm::Crc64Nvme))
            | (Some("FULL_OBJECT"), Some(Algorithm::Crc32 | Algorithm::Crc32c)) => true,
            (None | Some("COMPOSITE"), other) if other != Some(Algorithm::Crc64Nvme) => false,
            (kind, algorithm) => {
                let name = algorithm.map_or("null", Algorithm::name).to_ascii_lowercase();
                let message = format!(
                    "The {} checksum type cannot be used with the {name} checksum algorithm.",
                    kind.unwrap_or("COMPOSITE")
                );
                return Err(ApiError::new("InvalidRequest", message));
            }
        };
        Ok(Create { name: name(params)?, headers: headers(params)?, algorithm, whole })
    }
}

impl UploadPart {
    fn parse(params: Params<'_>) -> Result<UploadPart, ApiError> {
        only(params, &[&["Bucket", "Key", "UploadId", "PartNumber"], &CHECK])?;
        let number = part_number(params.optional_int("PartNumber")?.unwrap_or(0))?;
        Ok(UploadPart {
            name: name(params)?,
            upload: upload(params)?,
            number,
            body: Bytes::new(),
            staged: None,
            check: Check::parse(params)?,
        })
    }
}

impl Complete {
    fn parse(params: Params<'_>) -> Result<Complete, ApiError> {
        let own = ["Bucket", "Key", "UploadId", "MultipartUpload", "ChecksumType", "MpuObjectSize"];
        only(params, &[&own, &CONDITION, &CHECK])?;
        let malformed = || ApiError::new("MalformedXML", "the list of parts is not valid");
        let parts = params.get("MultipartUpload").and_then(|upload| upload.member("Parts"));
        let parts = parts.and_then(Json::as_array).filter(|parts| !parts.is_empty());
        let given = parts.unwrap_or_default().iter().flat_map(|part| {
            Algorithm::ALL.into_iter().filter_map(|algorithm| {
                let number = u64::try_from(part.member("PartNumber")?.as_i64()?).ok()?;
                Some((number, algorithm, part.member(algorithm.member())?.as_str()?.into()))
            })
        });
        let checksums = given.collect();
        let parts = parts.ok_or_else(malformed)?.iter().map(|part| {
            let number = part.member("PartNumber").and_then(Json::as_i64);
            let etag = part.member("ETag").and_then(Json::as_str);
            let (Some(number @ 1..=PART_MAX), Some(etag)) = (number, etag) else {
                return Err(malformed());
            };
            Ok((number as u64, etag.trim_matches('"').into()))
        });
        let parts: Vec<(u64, Arc<str>)> = parts.collect::<Result<_, _>>()?;
        if parts.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            let message = "The list of parts was not in ascending order. Parts must be ordered by \
                           part number.";
            return Err(ApiError::new("InvalidPartOrder", message));
        }
        let size = params.optional_text("MpuObjectSize").ok().flatten();
        let size = size.and_then(|size| size.parse().ok());
        let size = size.or_else(|| params.get("MpuObjectSize")?.as_i64()?.try_into().ok());
        Ok(Complete {
            name: name(params)?,
            upload: upload(params)?,
            parts,
            checksums,
            condition: Condition::parse(params)?,
            checksum: Check::parse(params)?.checksum,
            size,
        })
    }
}

impl Condition {
    fn parse(params: Params<'_>) -> Result<Condition, ApiError> {
        Condition::named(params, "")
    }

    /// That on the source of a copy.
    fn of_source(params: Params<'_>) -> Result<Condition, ApiError> {
        Condition::named(params, "CopySource")
    }

    fn named(params: Params<'_>, what: &str) -> Result<Condition, ApiError> {
        let text = |name: &str| params.optional_text(&format!("{what}{name}"));
        let etag = |name: &str| -> Result<Option<Arc<str>>, ApiError> {
            Ok(text(name)?.map(|etag| etag.trim_matches('"').into()))
        };
        // A time that is none is passed over. Source: RFC 9110 §13.1.3.
        let time = |name: &str| Ok::<_, ApiError>(text(name)?.and_then(time_of));
        Ok(Condition {
            matches: etag("IfMatch")?,
            differs: etag("IfNoneMatch")?,
            after: time("IfModifiedSince")?,
            until: time("IfUnmodifiedSince")?,
        })
    }
}

/// A time as HTTP or as the API's model writes it.
fn time_of(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp());
    let parsed = parsed.map(|time| Timestamp(time.as_millisecond()));
    parsed.or_else(|| Timestamp::parse(text))
}

impl Check {
    fn parse(params: Params<'_>) -> Result<Check, ApiError> {
        let mut checksum = None;
        for algorithm in Algorithm::ALL {
            if let Some(value) = params.optional_text(algorithm.member())? {
                if checksum.is_some() {
                    let message = "Expecting a single x-amz-checksum- header. Multiple checksum \
                                   Types are not allowed.";
                    return Err(ApiError::new("InvalidRequest", message));
                }
                checksum = Some(Checksum { algorithm, value: value.into() });
            }
        }
        let md5 = params.optional_text("ContentMD5")?.map(Arc::from);
        Ok(Check { md5, algorithm: algorithm(params)?, checksum })
    }
}

fn algorithm(params: Params<'_>) -> Result<Option<Algorithm>, ApiError> {
    let Some(name) = params.optional_text("ChecksumAlgorithm")? else { return Ok(None) };
    let known = Algorithm::ALL.into_iter().find(|known| known.name() == name);
    let unknown = || {
        let message = "Checksum algorithm provided is unsupported. Please try again with any of \
                       the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
        ApiError::new("InvalidRequest", message)
    };
    known.map(Some).ok_or_else(unknown)
}

fn headers(params: Params<'_>) -> Result<Headers, ApiError> {
    let mut headers = Headers::default();
    for name in STANDARD_HEADERS {
        if let Some(value) = params.optional_text(name)? {
            headers.standard.push((name.into(), value.into()));
        }
    }
    if let Some(given) = params.optional_text("Tagging")? {
        let tags = tagging::from_header(given)?;
        headers.keep(tagging::MEMBER, Some(tags).filter(|tags| !tags.is_empty()));
    }
    let metadata = params.get("Metadata").and_then(Json::as_object).into_iter().flatten();
    for (name, value) in metadata {
        let text =
            value.as_str().ok_or_else(|| params.invalid("Metadata", "values are strings"))?;
        headers.metadata.push((name.to_ascii_lowercase().into(), text.into()));
    }
    let bytes: usize = headers.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_MAX {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(ApiError::new("MetadataTooLarge", message));
    }
    Ok(headers)
}
