//! Amazon S3's restXml: bucket and name in the path or host, members in headers and query.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, header};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use stepwire_asl::Json;
use stepwire_asl::json::{Number, Object};
use stepwire_aws::rest::query_pairs;
use stepwire_core::objects::{self, Algorithm, Digests, Staged};
use stepwire_core::{ApiError, Request, Service};

use super::s3_answer::{encoded, object, refused, success};
use super::xml::Element;
use super::{Signer, chunked, origin, s3_documents, s3_upload};
use crate::node::Node;
use crate::shard;

/// What `EncodingType` `url` leaves as it is.
pub(super) const URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Members in headers, both ways.
pub(super) const HEADERS: &[(&str, &str)] = &[
    ("accept-ranges", "AcceptRanges"),
    ("cache-control", "CacheControl"),
    ("content-disposition", "ContentDisposition"),
    ("content-encoding", "ContentEncoding"),
    ("content-language", "ContentLanguage"),
    ("content-length", "ContentLength"),
    ("content-md5", "ContentMD5"),
    ("content-range", "ContentRange"),
    ("content-type", "ContentType"),
    ("etag", "ETag"),
    ("expires", "Expires"),
    ("if-match", "IfMatch"),
    ("if-modified-since", "IfModifiedSince"),
    ("if-none-match", "IfNoneMatch"),
    ("if-unmodified-since", "IfUnmodifiedSince"),
    ("last-modified", "LastModified"),
    ("location", "Location"),
    ("range", "Range"),
    ("x-amz-acl", "ACL"),
    ("x-amz-bucket-region", "BucketRegion"),
    ("x-amz-checksum-algorithm", "ChecksumAlgorithm"),
    ("x-amz-checksum-crc32", "ChecksumCRC32"),
    ("x-amz-checksum-crc32c", "ChecksumCRC32C"),
    ("x-amz-checksum-crc64nvme", "ChecksumCRC64NVME"),
    ("x-amz-checksum-mode", "ChecksumMode"),
    ("x-amz-checksum-sha1", "ChecksumSHA1"),
    ("x-amz-checksum-sha256", "ChecksumSHA256"),
    ("x-amz-checksum-type", "ChecksumType"),
    ("x-amz-confirm-remove-self-bucket-access", "ConfirmRemoveSelfBucketAccess"),
    ("x-amz-copy-source", "CopySource"),
    ("x-amz-copy-source-if-match", "CopySourceIfMatch"),
    ("x-amz-copy-source-if-modified-since", "CopySourceIfModifiedSince"),
    ("x-amz-copy-source-if-none-match", "CopySourceIfNoneMatch"),
    ("x-amz-copy-source-if-unmodified-since", "CopySourceIfUnmodifiedSince"),
    ("x-amz-copy-source-range", "CopySourceRange"),
    ("x-amz-copy-source-version-id", "CopySourceVersionId"),
    ("x-amz-delete-marker", "DeleteMarker"),
    ("x-amz-metadata-directive", "MetadataDirective"),
    ("x-amz-mp-object-size", "MpuObjectSize"),
    ("x-amz-mp-parts-count", "PartsCount"),
    ("x-amz-object-ownership", "ObjectOwnership"),
    ("x-amz-sdk-checksum-algorithm", "ChecksumAlgorithm"),
    ("x-amz-server-side-encryption", "ServerSideEncryption"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "SSEKMSKeyId"),
    ("x-amz-server-side-encryption-bucket-key-enabled", "BucketKeyEnabled"),
    ("x-amz-skip-destination-validation", "SkipDestinationValidation"),
    ("x-amz-storage-class", "StorageClass"),
    ("x-amz-tagging", "Tagging"),
    ("x-amz-tagging-count", "TagCount"),
    ("x-amz-tagging-directive", "TaggingDirective"),
    ("x-amz-version-id", "VersionId"),
];

/// Headers of Amazon's that say nothing about the operation.
const ASIDE: &[&str] = &[
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-request-payer",
    "x-amz-security-token",
    "x-amz-trailer",
    "x-amz-user-agent",
];

/// Parameters of a signature in the query.
const SIGNING: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Members in the query.
const QUERY: &[(&str, &str)] = &[
    ("bucket-region", "BucketRegion"),
    ("continuation-token", "ContinuationToken"),
    ("delimiter", "Delimiter"),
    ("encoding-type", "EncodingType"),
    ("fetch-owner", "FetchOwner"),
    ("key-marker", "KeyMarker"),
    ("marker", "Marker"),
    ("max-buckets", "MaxBuckets"),
    ("max-keys", "MaxKeys"),
    ("max-parts", "MaxParts"),
    ("max-uploads", "MaxUploads"),
    ("part-number-marker", "PartNumberMarker"),
    ("partNumber", "PartNumber"),
    ("prefix", "Prefix"),
    ("response-cache-control", "ResponseCacheControl"),
    ("response-content-disposition", "ResponseContentDisposition"),
    ("response-content-encoding", "ResponseContentEncoding"),
    ("response-content-language", "ResponseContentLanguage"),
    ("response-content-type", "ResponseContentType"),
    ("response-expires", "ResponseExpires"),
    ("start-after", "StartAfter"),
    ("upload-id-marker", "UploadIdMarker"),
    ("uploadId", "UploadId"),
    ("version-id-marker", "VersionIdMarker"),
    ("versionId", "VersionId"),
];

/// Documents of buckets: what the query names, what operations are called after it, and the root of
/// its XML.
const BUCKET_DOCUMENTS: &[(&str, &str, &str)] = &[
    ("accelerate", "BucketAccelerateConfiguration", "AccelerateConfiguration"),
    ("acl", "BucketAcl", "AccessControlPolicy"),
    ("analytics", "BucketAnalyticsConfiguration", "AnalyticsConfiguration"),
    ("cors", "BucketCors", "CORSConfiguration"),
    ("encryption", "BucketEncryption", "ServerSideEncryptionConfiguration"),
    (
        "intelligent-tiering",
        "BucketIntelligentTieringConfiguration",
        "IntelligentTieringConfiguration",
    ),
    ("inventory", "BucketInventoryConfiguration", "InventoryConfiguration"),
    ("lifecycle", "BucketLifecycleConfiguration", "LifecycleConfiguration"),
    ("logging", "BucketLogging", "BucketLoggingStatus"),
    ("metrics", "BucketMetricsConfiguration", "MetricsConfiguration"),
    ("notification", "BucketNotificationConfiguration", "NotificationConfiguration"),
    ("object-lock", "ObjectLockConfiguration", "ObjectLockConfiguration"),
    ("ownershipControls", "BucketOwnershipControls", "OwnershipControls"),
    ("policy", "BucketPolicy", "Policy"),
    ("policyStatus", "BucketPolicyStatus", "PolicyStatus"),
    ("publicAccessBlock", "PublicAccessBlock", "PublicAccessBlockConfiguration"),
    ("replication", "BucketReplication", "ReplicationConfiguration"),
    ("requestPayment", "BucketRequestPayment", "RequestPaymentConfiguration"),
    ("tagging", "BucketTagging", "Tagging"),
    ("versioning", "BucketVersioning", "VersioningConfiguration"),
    ("website", "BucketWebsite", "WebsiteConfiguration"),
];
/// The same of objects.
const OBJECT_DOCUMENTS: &[(&str, &str, &str)] = &[
    ("acl", "ObjectAcl", "AccessControlPolicy"),
    ("attributes", "ObjectAttributes", ""),
    ("legal-hold", "ObjectLegalHold", "LegalHold"),
    ("retention", "ObjectRetention", "Retention"),
    ("tagging", "ObjectTagging", "Tagging"),
    ("torrent", "ObjectTorrent", ""),
];

/// Answers a request to S3, refusals included.
pub(super) async fn answer(node: &Node, signer: &Signer, parts: &Parts, body: Bytes) -> Response {
    match carry_out(node, signer, parts, body).await {
        Ok(response) => response,
        Err(error) => refused(parts, &error),
    }
}

async fn carry_out(
    node: &Node,
    signer: &Signer,
    parts: &Parts,
    body: Bytes,
) -> Result<Response, ApiError> {
    let target = Target::of(parts)?;
    let operation = target.operation(parts)?;
    let mut body = body;
    let mut trailers = Vec::new();
    if chunked::is_chunked(&parts.headers) {
        let decoded = chunked::decode(&body, signer.chunks(parts)).map_err(s3_upload::wrong)?;
        (body, trailers) = decoded;
        s3_upload::kept_promise(parts, &trailers)?;
        let said = parts.headers.get("x-amz-decoded-content-length");
        let said = said.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if said.is_some_and(|said| said != body.len()) {
            return Err(s3_upload::wrong(chunked::Wrong::Form));
        }
    }
    finish(node, parts, &target, &operation, &trailers, body, None).await
}

/// Carries out an operation whose body has arrived, or is stored.
async fn finish(
    node: &Node,
    parts: &Parts,
    target: &Target,
    operation: &str,
    trailers: &[(String, String)],
    body: Bytes,
    staged: Option<Staged>,
) -> Result<Response, ApiError> {
    if OBJECT_DOCUMENTS.iter().any(|(_, name, root)| root.is_empty() && operation.ends_with(name)) {
        return Err(not_implemented(operation));
    }
    let members = members(operation, target, parts, trailers, &body, node)?;
    let encode = members.member("EncodingType").and_then(Json::as_str) == Some("url");
    let request = Request::parse(Service::S3, operation, &members);
    let request = request.ok_or_else(|| not_implemented(operation))??;
    match request {
        Request::Objects(objects::Request::GetObject(get)) => object(node, &get),
        Request::Objects(request) => {
            let request = match staged {
                Some(staged) => request.with_staged(staged),
                None => request.with_body(body),
            };
            let answer = node.call(Request::Objects(request)).await?;
            let answer = if encode { encoded(&answer) } else { answer };
            let answer = match operation {
                "CompleteMultipartUpload" => located(node, target, parts, &answer),
                _ => answer,
            };
            Ok(success(operation, target, &answer))
        }
        _ => Err(not_implemented(operation)),
    }
}

/// The answer with the whole URL of the object that was made.
fn located(node: &Node, target: &Target, parts: &Parts, answer: &Json) -> Json {
    let origin = origin(node, parts);
    let key = utf8_percent_encode(target.key.as_deref().unwrap_or_default(), URL).to_string();
    let bucket = target.bucket.as_deref().unwrap_or_default();
    let led = parts
        .headers
        .get(header::HOST)
        .is_none_or(|host| !origin.as_bytes().ends_with(host.as_bytes()));
    let url = if bucket_of_host(parts).is_some() && !led {
        format!("{origin}/{key}")
    } else {
        format!("{origin}/{bucket}/{key}")
    };
    let members = answer.as_object().into_iter().flatten().map(|(name, value)| {
        let value = if **name == *"Location" { url.as_str().into() } else { value.clone() };
        (Arc::clone(name), value)
    });
    Json::object(members)
}

/// A request that brings a large body.
pub(super) struct Upload {
    target: Target,
    operation: String,
}

impl Upload {
    /// What the request asks for, checked before its body is taken.
    pub(super) fn of(node: &Node, parts: &Parts) -> Result<Upload, ApiError> {
        let target = Target::of(parts)?;
        let operation = target.operation(parts)?.into_owned();
        if !matches!(operation.as_str(), "PutObject" | "UploadPart") {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Err(ApiError::new("EntityTooLarge", message));
        }
        let members = members(&operation, &target, parts, &[], b"", node)?;
        let request = Request::parse(Service::S3, &operation, &members);
        request.ok_or_else(|| not_implemented(&operation))??;
        let read = node.snapshot();
        let there = shard::catch(|| {
            target.bucket.as_deref().is_some_and(|bucket| objects::has_bucket(bucket, &read))
        });
        if !there.map_err(|error| ApiError::new("InternalError", error.to_string()))? {
            let error = ApiError::new("NoSuchBucket", "The specified bucket does not exist");
            let bucket = target.bucket.as_deref().unwrap_or_default();
            return Err(error.with("BucketName", bucket.into()));
        }
        Ok(Upload { target, operation })
    }

    /// What is to be found of the bytes.
    pub(super) fn digests(&self, node: &Node, parts: &Parts) -> Digests {
        let mut said = String::new();
        for (name, value) in &parts.headers {
            let value = value.to_str().unwrap_or_default();
            match name.as_str() {
                "x-amz-trailer" | "x-amz-sdk-checksum-algorithm" => said.push_str(value),
                name if name.starts_with("x-amz-checksum-") => said.push_str(name),
                _ => {}
            }
            said.push(' ');
        }
        let said = said.to_ascii_lowercase();
        let asked = self.target.query.iter().find(|(name, _)| name == "uploadId");
        let of_upload = asked.and_then(|(_, id)| {
            let (bucket, key) = (self.target.bucket.as_deref()?, self.target.key.as_deref()?);
            let name = objects::Name { bucket: bucket.into(), key: key.into() };
            let read = node.snapshot();
            shard::catch(|| objects::upload_algorithm(&name, id, &read)).ok().flatten()
        });
        let wanted = Algorithm::ALL.into_iter().filter(|algorithm| {
            let name = algorithm.name().to_ascii_lowercase();
            Some(*algorithm) == of_upload || said.split([' ', ',', '-']).any(|word| word == name)
        });
        Digests::new(&wanted.collect::<Vec<_>>())
    }

    /// Carries it out.
    pub(super) async fn store(
        &self,
        node: &Node,
        parts: &Parts,
        trailers: &[(String, String)],
        body: Bytes,
        staged: Option<Staged>,
    ) -> Result<Response, ApiError> {
        finish(node, parts, &self.target, &self.operation, trailers, body, staged).await
    }
}

/// What S3 calls the refusal of a request that is not signed as it must be.
pub(super) fn unsigned(parts: &Parts, error: &ApiError) -> ApiError {
    let header = parts.headers.get(header::AUTHORIZATION);
    if is_form(parts) && header.is_none() {
        return not_implemented("a form in place of a signed request (POST Object)");
    }
    if header.is_some_and(|header| header.as_bytes().starts_with(b"AWS ")) {
        let message = "The authorization mechanism you have provided is not supported. Please use \
                       AWS4-HMAC-SHA256.";
        return ApiError::new("InvalidRequest", message);
    }
    match &*error.code {
        "MissingAuthenticationTokenException" => ApiError::new("AccessDenied", "Access Denied"),
        "IncompleteSignatureException" => {
            let message = "Error parsing the X-Amz-Credential parameter, the authorization header, \
                           or X-Amz-Expires: it must be of SigV4, and good for less than a week";
            ApiError::new("AuthorizationQueryParametersError", message)
        }
        "UnrecognizedClientException" => {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            ApiError::new("InvalidAccessKeyId", message)
        }
        "ExpiredTokenException" => ApiError::new("ExpiredToken", "The provided token has expired."),
        "InvalidSignatureException" if error.message.contains("expired") => {
            let message = "The difference between the request time and the current time is too \
                           large.";
            ApiError::new("RequestTimeTooSkewed", message)
        }
        "InvalidSignatureException" => {
            let message = "The request signature we calculated does not match the signature you \
                           provided. Check your key and signing method.";
            ApiError::new("SignatureDoesNotMatch", message)
        }
        _ => error.clone(),
    }
}

fn not_implemented(what: &str) -> ApiError {
    ApiError::new("NotImplemented", format!("`{what}` is not available in stepwire yet"))
}

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    bucket: Option<String>,
    key: Option<String>,
    query: Vec<(String, String)>,
}

impl Target {
    fn of(parts: &Parts) -> Result<Target, ApiError> {
        let invalid = || ApiError::new("InvalidURI", "Couldn't parse the specified URI.");
        let path = percent_decode_str(parts.uri.path()).decode_utf8().map_err(|_| invalid())?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
        let (bucket, key) = match host.and_then(bucket_of) {
            Some(bucket) => (Some(bucket.to_owned()), Some(path)),
            None => match path.split_once('/') {
                Some((bucket, key)) => (Some(bucket.to_owned()), Some(key)),
                None => (Some(path.to_owned()), None),
            },
        };
        Ok(Target {
            bucket: bucket.filter(|bucket| !bucket.is_empty()),
            key: key.filter(|key| !key.is_empty()).map(str::to_owned),
            query: query_pairs(parts.uri.query().unwrap_or_default()).collect(),
        })
    }

    fn asks(&self, name: &str) -> bool {
        self.query.iter().any(|(asked, _)| asked == name)
    }

    /// The operation that method, place and query name; whatever else the query asks for is refused.
    fn operation(&self, parts: &Parts) -> Result<Cow<'static, str>, ApiError> {
        const FLAGS: [&str; 15] = [
            // Of a signature of version 2.
            "AWSAccessKeyId",
            "Expires",
            "Signature",
            "content-md5",
            "content-type",
            "delete",
            "id",
            "list-type",
            "location",
            "restore",
            "select",
            "select-type",
            "uploads",
            "versions",
            "x-id",
        ];
        let documents = if self.key.is_some() { OBJECT_DOCUMENTS } else { BUCKET_DOCUMENTS };
        let unknown = self.query.iter().find(|(name, _)| {
            !FLAGS.contains(&&**name)
                && !QUERY.iter().any(|(known, _)| known == name)
                && !documents.iter().any(|(known, ..)| known == name)
                && !name.to_ascii_lowercase().starts_with("x-amz-")
        });
        if let Some((name, _)) = unknown {
            return Err(not_implemented(&format!("?{name}")));
        }
        let copies = parts.headers.contains_key("x-amz-copy-source");
        let (upload, uploads) = (self.asks("uploadId"), self.asks("uploads"));
        let method = &parts.method;
        if let Some((_, name, _)) = self.document() {
            let verb = match *method {
                Method::GET => "Get",
                Method::PUT => "Put",
                Method::DELETE => "Delete",
                _ => return Err(not_allowed()),
            };
            return Ok(format!("{verb}{name}").into());
        }
        let operation = match (self.bucket.is_some(), self.key.is_some()) {
            (false, _) if method == Method::GET => "ListBuckets",
            (false, _) => "",
            (true, false) => match *method {
                Method::PUT => "CreateBucket",
                Method::DELETE => "DeleteBucket",
                Method::HEAD => "HeadBucket",
                Method::POST if self.asks("delete") => "DeleteObjects",
                Method::GET if self.asks("location") => "GetBucketLocation",
                Method::GET if uploads => "ListMultipartUploads",
                Method::GET if self.asks("versions") => "ListObjectVersions",
                Method::GET if self.asks("list-type") => "ListObjectsV2",
                Method::GET => "ListObjects",
                _ => "",
            },
            (true, true) => match *method {
                Method::PUT if upload && copies => "UploadPartCopy",
                Method::PUT if upload => "UploadPart",
                Method::PUT if copies => "CopyObject",
                Method::PUT => "PutObject",
                Method::GET if upload => "ListParts",
                Method::GET => "GetObject",
                Method::HEAD => "HeadObject",
                Method::DELETE if upload => "AbortMultipartUpload",
                Method::DELETE => "DeleteObject",
                Method::POST if self.asks("select") => "SelectObjectContent",
                Method::POST if self.asks("restore") => "RestoreObject",
                Method::POST if uploads => "CreateMultipartUpload",
                Method::POST if upload => "CompleteMultipartUpload",
                _ => "",
            },
        };
        if operation.is_empty() {
            return Err(not_allowed());
        }
        Ok(operation.into())
    }

    /// The document that the query names.
    pub(super) fn document(&self) -> Option<&'static (&'static str, &'static str, &'static str)> {
        let documents = if self.key.is_some() { OBJECT_DOCUMENTS } else { BUCKET_DOCUMENTS };
        self.bucket.as_ref()?;
        documents.iter().find(|(name, ..)| self.asks(name))
    }
}

fn not_allowed() -> ApiError {
    let message = "The specified method is not allowed against this resource.";
    ApiError::new("MethodNotAllowed", message)
}

/// The bucket that the host of a request names.
pub(super) fn bucket_of_host(parts: &Parts) -> Option<&str> {
    bucket_of(parts.headers.get(header::HOST)?.to_str().ok()?)
}

/// Whether a request without a signature is meant for S3: a form with a file, or what its SDKs send.
pub(super) fn is_meant(parts: &Parts) -> bool {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return false;
    }
    let accepts = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let by_page = accepts.is_some_and(|accept| accept.contains("text/html"));
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let of_object = |name: &HeaderName| {
        let name = name.as_str();
        ["x-amz-acl", "x-amz-checksum-", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-meta-"]
            .iter()
            .any(|begin| name.starts_with(begin))
    };
    is_form(parts)
        || parts.headers.keys().any(of_object)
        || !by_page && agent.is_some_and(|agent| agent.contains(" api/s3#"))
        || !by_page && bucket_of_host(parts).is_some()
}

/// Whether a form is sent to a bucket, as pages do that let their visitors upload.
fn is_form(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    parts.method == Method::POST && kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// The bucket that a host name names: `bucket.s3.….amazonaws.com`, `bucket.localhost`,
/// `bucket.s3.localhost`.
fn bucket_of(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if let Some(before) = name.strip_suffix(".localhost") {
        let before = before.strip_suffix(".s3").unwrap_or(before);
        return Some(before).filter(|bucket| *bucket != "s3");
    }
    let before = name.strip_suffix(".amazonaws.com")?;
    let end = before.rfind(".s3.").or_else(|| before.rfind(".s3-"));
    end.map(|end| &before[..end]).or_else(|| before.strip_suffix(".s3"))
}

/// Everything a request says, as the members of its operation's input.
fn members(
    operation: &str,
    target: &Target,
    parts: &Parts,
    trailers: &[(String, String)],
    body: &[u8],
    node: &Node,
) -> Result<Json, ApiError> {
    let mut members = Object::new();
    members.extend(target.bucket.as_deref().map(|bucket| ("Bucket".into(), bucket.into())));
    members.extend(target.key.as_deref().map(|key| ("Key".into(), key.into())));
    for (name, value) in &target.query {
        if let Some((_, member)) = QUERY.iter().find(|(known, _)| known == name) {
            let plain = member.starts_with("Max") || member.starts_with("PartNumber");
            if *member == "FetchOwner" {
                members.insert("FetchOwner".into(), (value == "true").into());
                continue;
            }
            let number = Number::from_text(value).filter(|_| plain).map(Json::Number);
            members.insert((*member).into(), number.unwrap_or_else(|| value.as_str().into()));
        }
    }
    let stores = matches!(operation, "PutObject" | "CreateMultipartUpload" | "CopyObject");
    let checked = stores || matches!(operation, "UploadPart" | "CompleteMultipartUpload");
    let mut metadata = Object::new();
    let sent = parts.headers.iter().map(|(name, value)| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), text)
    });
    // Whoever signs a URL puts headers into the query.
    let asked = target.query.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let asked = asked.filter(|(name, _)| name.starts_with("x-amz-") && !SIGNING.contains(&&**name));
    for (name, value) in asked.chain(sent).chain(trailers.iter().cloned()) {
        let member = HEADERS.iter().find(|(known, _)| *known == name).map(|(_, member)| *member);
        match member {
            // Sent with every request, whether or not it means something.
            Some("ContentLength" | "ContentType" | "ContentEncoding") if !stores => {}
            Some("ContentLength") => {}
            Some("ContentMD5") if !checked => {}
            Some(member) if member.starts_with("Checksum") && !checked => {
                if operation == "GetObject" || operation == "HeadObject" {
                    members.insert(member.into(), value.into());
                }
            }
            Some("ContentEncoding") => {
                let kept = value.split(',').map(str::trim).filter(|one| *one != "aws-chunked");
                let kept: Vec<_> = kept.collect();
                if !kept.is_empty() {
                    members.insert("ContentEncoding".into(), kept.join(",").into());
                }
            }
            Some("CopySource") => {
                let source = percent_decode_str(&value).decode_utf8_lossy().into_owned();
                members.insert("CopySource".into(), source.into());
            }
            Some(member) => drop(members.insert(member.into(), value.into())),
            None => {
                if let Some(name) = name.strip_prefix("x-amz-meta-") {
                    metadata.insert(name.into(), value.into());
                } else if name == "x-amz-expected-bucket-owner" {
                    if *value != *node.settings().account {
                        return Err(ApiError::new("AccessDenied", "Access Denied"));
                    }
                } else if name.starts_with("if-")
                    || name.starts_with("x-amz-") && !ASIDE.contains(&name.as_str())
                {
                    let message = format!(
                        "A header you provided implies functionality that is not implemented: \
                         `{name}` is not available in stepwire yet"
                    );
                    return Err(
                        ApiError::new("NotImplemented", message).with("Header", name.into())
                    );
                }
            }
        }
    }
    if stores {
        members.insert("Metadata".into(), Json::Object(Arc::new(metadata)));
    }
    if let Some((member, value)) = in_body(operation, target, body)? {
        if operation != "CompleteMultipartUpload" {
            // There it is the checksum of the object.
            is_as_announced(parts, body)?;
        }
        members.insert(member.into(), value);
    }
    Ok(Json::Object(Arc::new(members)))
}

/// Refuses a document that is not what its checksums say.
fn is_as_announced(parts: &Parts, body: &[u8]) -> Result<(), ApiError> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let md5 = header("content-md5").map(str::to_owned);
    let found = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let header = header(&format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase()))?;
        Some((algorithm, header.to_owned()))
    });
    objects::is_as_announced(body, md5.as_deref(), found.as_ref().map(|(a, v)| (*a, v.as_str())))
}

/// The member that a body of XML is.
fn in_body(
    operation: &str,
    target: &Target,
    body: &[u8],
) -> Result<Option<(&'static str, Json)>, ApiError> {
    let document = target.document().filter(|_| operation.starts_with("Put"));
    match document {
        Some((_, "BucketPolicy", member)) => {
            let text = String::from_utf8_lossy(body).into_owned();
            return Ok(Some((member, text.into())));
        }
        Some((_, "BucketAcl" | "ObjectAcl", _)) if body.is_empty() => return Ok(None),
        _ => {}
    }
    if document.is_none() && !matches!(operation, "DeleteObjects" | "CompleteMultipartUpload") {
        return Ok(None);
    }
    let root = Element::parse(body).map_err(|why| {
        let message = format!("The XML you provided was not well-formed: {why}");
        ApiError::new("MalformedXML", message)
    })?;
    if let Some((_, _, member)) = document {
        return Ok(Some((member, s3_documents::read(&root))));
    }
    let list = |name: &'static str| root.children.iter().filter(move |child| child.name == name);
    let text = |element: &Element, name: &'static str| {
        element.text_of(name).map(|text| (Arc::from(name), Json::from(text)))
    };
    if operation == "DeleteObjects" {
        let objects = list("Object").map(|object| {
            let version = text(object, "VersionId");
            Json::object(text(object, "Key").into_iter().chain(version))
        });
        let quiet = root.text_of("Quiet") == Some("true");
        let members = [("Objects", Json::array(objects)), ("Quiet", quiet.into())];
        return Ok(Some(("Delete", Json::object(members))));
    }
    let parts = list("Part").map(|part| {
        let number = part.text_of("PartNumber").and_then(|number| Number::from_text(number.trim()));
        let number = number.map(|number| (Arc::from("PartNumber"), Json::Number(number)));
        let checksums = Algorithm::ALL.into_iter().filter_map(|kind| text(part, kind.member()));
        Json::object(number.into_iter().chain(text(part, "ETag")).chain(checksums))
    });
    Ok(Some(("MultipartUpload", Json::object([("Parts", Json::array(parts))]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_the_host() {
        for (host, bucket) in [
            ("b.s3.us-east-1.amazonaws.com", Some("b")),
            ("my.b.s3.amazonaws.com", Some("my.b")),
            ("b.localhost:4566", Some("b")),
            ("my.b.s3.localhost:4566", Some("my.b")),
            ("s3.us-east-1.amazonaws.com", None),
            ("s3.localhost", None),
            ("localhost:4566", None),
            ("127.0.0.1:4566", None),
        ] {
            assert_eq!(bucket_of(host), bucket, "{host}");
        }
    }
}
