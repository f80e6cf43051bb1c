//! Requests, parsed once.

use std::sync::Arc;

use bytes::Bytes;
use stepwire_asl::Json;

use super::checksum::{Algorithm, Checksum};
use super::list::{List, Uploads};
use super::record::Headers;
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
    CreateBucket { bucket: Arc<str> },
    DeleteBucket { bucket: Arc<str> },
    HeadBucket { bucket: Arc<str> },
    ListBuckets,
    GetBucketLocation { bucket: Arc<str> },
    PutObject(Box<Put>),
    GetObject(Box<Get>),
    HeadObject(Box<Get>),
    CopyObject(Box<Copy>),
    DeleteObject(Name),
    DeleteObjects { bucket: Arc<str>, keys: Vec<Arc<str>>, quiet: bool },
    ListObjects(Box<List>),
    ListObjectsV2(Box<List>),
    CreateMultipartUpload(Box<Create>),
    UploadPart(Box<UploadPart>),
    CompleteMultipartUpload(Box<Complete>),
    AbortMultipartUpload { name: Name, upload: Arc<str> },
    ListParts { name: Name, upload: Arc<str> },
    ListMultipartUploads(Uploads),
}

/// An object's place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the API")]
pub struct Name {
    pub bucket: Arc<str>,
    pub key: Arc<str>,
}

/// What must be so for a request to be carried out: `If-Match`, `If-None-Match`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// The object is there and has this ETag, or any for `*`.
    pub matches: Option<Arc<str>>,
    /// The object is not there, or has another ETag than this.
    pub differs: Option<Arc<str>>,
}

/// PutObject.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// Where to.
    pub name: Name,
    /// The bytes.
    pub body: Bytes,
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
}

/// CreateMultipartUpload.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in `Put`")]
pub struct Create {
    pub name: Name,
    pub headers: Headers,
    pub algorithm: Option<Algorithm>,
}

/// UploadPart.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "as in `Put`")]
pub struct UploadPart {
    pub name: Name,
    pub upload: Arc<str>,
    pub number: u64,
    pub body: Bytes,
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
    /// When to.
    pub condition: Condition,
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
            "ListBuckets" => params.only(&[]).map(|()| Request::ListBuckets),
            "PutObject" => Put::parse(params).map(Box::new).map(Request::PutObject),
            "GetObject" => Get::parse(params).map(Box::new).map(Request::GetObject),
            "HeadObject" => Get::parse(params).map(Box::new).map(Request::HeadObject),
            "CopyObject" => Copy::parse(params).map(Box::new).map(Request::CopyObject),
            "DeleteObject" => only_name(params).map(Request::DeleteObject),
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
            "ListParts" => {
                only_upload(params).map(|(name, upload)| Request::ListParts { name, upload })
            }
            "ListMultipartUploads" => Uploads::parse(params).map(Request::ListMultipartUploads),
            _ => return None,
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

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::HeadBucket { .. }
            | Request::ListBuckets
            | Request::GetBucketLocation { .. }
            | Request::GetObject(_)
            | Request::HeadObject(_)
            | Request::ListObjects(_)
            | Request::ListObjectsV2(_)
            | Request::ListParts { .. }
            | Request::ListMultipartUploads(_) => true,
            Request::CreateBucket { .. }
            | Request::DeleteBucket { .. }
            | Request::PutObject(_)
            | Request::CopyObject(_)
            | Request::DeleteObject(_)
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
    if !(3..=63).contains(&bucket.len()) || !labels || !letters {
        return Err(invalid_bucket());
    }
    Ok(Request::CreateBucket { bucket })
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

fn name(params: Params<'_>) -> Result<Name, ApiError> {
    Ok(Name { bucket: bucket(params)?, key: key(params.text("Key")?)? })
}

fn key(text: &str) -> Result<Arc<str>, ApiError> {
    match text.len() {
        0 => Err(ApiError::new("InvalidArgument", "The key must not be empty")),
        1..=KEY_MAX => Ok(text.into()),
        _ => Err(ApiError::new("KeyTooLongError", "Your key is too long")),
    }
}

fn only_name(params: Params<'_>) -> Result<Name, ApiError> {
    params.only(&["Bucket", "Key"])?;
    name(params)
}

fn only_upload(params: Params<'_>) -> Result<(Name, Arc<str>), ApiError> {
    params.only(&["Bucket", "Key", "UploadId"])?;
    Ok((name(params)?, upload(params)?))
}

fn upload(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let id = params.text("UploadId")?;
    if id.contains('\0') { Err(super::no_upload()) } else { Ok(id.into()) }
}

fn delete_objects(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Bucket", "Delete", "ChecksumAlgorithm"])?;
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
        Params::new(object, "InvalidArgument").only(&["Key"])?;
        key(object.member("Key").and_then(Json::as_str).ok_or_else(malformed)?)
    });
    let quiet = delete.member("Quiet").and_then(Json::as_bool).unwrap_or(false);
    Ok(Request::DeleteObjects {
        bucket: bucket(params)?,
        keys: keys.collect::<Result<_, _>>()?,
        quiet,
    })
}

const CONDITION: [&str; 2] = ["IfMatch", "IfNoneMatch"];
const CHECK: [&str; 7] = [
    "ContentMD5",
    "ChecksumAlgorithm",
    "ChecksumCRC32",
    "ChecksumCRC32C",
    "ChecksumCRC64NVME",
    "ChecksumSHA1",
    "ChecksumSHA256",
];
/// Accepted where they ask for what is so anyway.
const AS_IT_IS: [&str; 3] = ["StorageClass", "ServerSideEncryption", "ACL"];

fn only(params: Params<'_>, lists: &[&[&str]]) -> Result<(), ApiError> {
    params.only(&lists.concat())?;
    for (name, value) in [("StorageClass", "STANDARD"), ("ServerSideEncryption", "AES256")] {
        if params.optional_text(name)?.is_some_and(|given| given != value) {
            let message = format!("`{name}` can only be `{value}` in stepwire");
            return Err(ApiError::new("NotImplemented", message));
        }
    }
    Ok(())
}

impl Put {
    fn parse(params: Params<'_>) -> Result<Put, ApiError> {
        let own: [&str; 3] = ["Bucket", "Key", "Metadata"];
        only(params, &[&own, &STANDARD_HEADERS, &CONDITION, &CHECK, &AS_IT_IS])?;
        Ok(Put {
            name: name(params)?,
            body: Bytes::new(),
            headers: headers(params)?,
            check: Check::parse(params)?,
            condition: Condition::parse(params)?,
        })
    }
}

impl Get {
    fn parse(params: Params<'_>) -> Result<Get, ApiError> {
        only(params, &[&["Bucket", "Key", "Range", "ChecksumMode"], &CONDITION])?;
        Ok(Get {
            name: name(params)?,
            range: params.optional_text("Range")?.map(Arc::from),
            condition: Condition::parse(params)?,
            checksum: params.optional_text("ChecksumMode")? == Some("ENABLED"),
        })
    }
}

impl Copy {
    fn parse(params: Params<'_>) -> Result<Copy, ApiError> {
        let own = ["Bucket", "Key", "CopySource", "MetadataDirective", "Metadata"];
        only(params, &[&own, &STANDARD_HEADERS, &AS_IT_IS])?;
        let source = params.text("CopySource")?;
        let source = source.strip_prefix('/').unwrap_or(source);
        let (from, what) = source.split_once('/').unwrap_or_default();
        if from.is_empty() || from.contains('\0') || what.contains("?versionId=") {
            return Err(params.invalid("CopySource", "it must be `bucket/key`, without a version"));
        }
        let headers = match params.optional_text("MetadataDirective")? {
            None | Some("COPY") => None,
            Some("REPLACE") => Some(headers(params)?),
            Some(other) => {
                return Err(
                    params.invalid("MetadataDirective", &format!("`{other}` is no directive"))
                );
            }
        };
        let source = Name { bucket: from.into(), key: key(what)? };
        Ok(Copy { source, target: name(params)?, headers })
    }
}

impl Create {
    fn parse(params: Params<'_>) -> Result<Create, ApiError> {
        let own = ["Bucket", "Key", "Metadata", "ChecksumAlgorithm", "ChecksumType"];
        only(params, &[&own, &STANDARD_HEADERS, &AS_IT_IS])?;
        let algorithm = algorithm(params)?;
        let whole = params.optional_text("ChecksumType")? == Some("FULL_OBJECT");
        if whole || algorithm == Some(Algorithm::Crc64Nvme) {
            let message = "checksums over all parts of an upload (FULL_OBJECT) are not available in \
                           stepwire yet";
            return Err(ApiError::new("NotImplemented", message));
        }
        Ok(Create { name: name(params)?, headers: headers(params)?, algorithm })
    }
}

impl UploadPart {
    fn parse(params: Params<'_>) -> Result<UploadPart, ApiError> {
        only(params, &[&["Bucket", "Key", "UploadId", "PartNumber"], &CHECK])?;
        let number = params.optional_int("PartNumber")?;
        let number = number.filter(|number| (1..=PART_MAX).contains(number)).ok_or_else(|| {
            let message =
                format!("Part number must be an integer between 1 and {PART_MAX}, inclusive");
            ApiError::new("InvalidArgument", message)
        })?;
        Ok(UploadPart {
            name: name(params)?,
            upload: upload(params)?,
            number: number as u64,
            body: Bytes::new(),
            check: Check::parse(params)?,
        })
    }
}

impl Complete {
    fn parse(params: Params<'_>) -> Result<Complete, ApiError> {
        // A checksum sent along is that of the checksums of the parts, which were compared.
        let own = ["Bucket", "Key", "UploadId", "MultipartUpload", "ChecksumType"];
        only(params, &[&own, &CONDITION, &CHECK])?;
        let malformed = || ApiError::new("MalformedXML", "the list of parts is not valid");
        let parts = params.get("MultipartUpload").and_then(|upload| upload.member("Parts"));
        let parts = parts.and_then(Json::as_array).filter(|parts| !parts.is_empty());
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
        let condition = Condition::parse(params)?;
        Ok(Complete { name: name(params)?, upload: upload(params)?, parts, condition })
    }
}

impl Condition {
    fn parse(params: Params<'_>) -> Result<Condition, ApiError> {
        let etag = |name| -> Result<Option<Arc<str>>, ApiError> {
            Ok(params.optional_text(name)?.map(|etag| etag.trim_matches('"').into()))
        };
        Ok(Condition { matches: etag("IfMatch")?, differs: etag("IfNoneMatch")? })
    }
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
