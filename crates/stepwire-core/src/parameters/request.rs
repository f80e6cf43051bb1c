//! What is asked of the Parameter Store, parsed once.

use std::sync::Arc;

use regex::Regex;
use stepwire_asl::Json;

use super::filter::Filter;
use super::record::{Kind, Tier};
use crate::error::ApiError;
use crate::params::Params;

/// Longest name, characters, and most parts of a path.
const NAME_MAX: usize = 1_011;
const LEVELS_MAX: usize = 15;
/// Most names of a request.
const NAMES_MAX: usize = 10;

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    /// PutParameter.
    Put(Box<Put>),
    /// GetParameter.
    Get {
        /// Which.
        name: Name,
        /// Whether a `SecureString` is shown.
        decrypts: bool,
    },
    /// GetParameters.
    GetMany {
        /// Which.
        names: Vec<Name>,
        /// Whether a `SecureString` is shown.
        decrypts: bool,
    },
    /// GetParametersByPath.
    GetByPath(Box<List>),
    /// DescribeParameters.
    Describe(Box<List>),
    /// GetParameterHistory.
    History {
        /// Which.
        name: Arc<str>,
        /// Whether a `SecureString` is shown.
        decrypts: bool,
        /// Versions up to this one come before the page.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// DeleteParameter.
    Delete(Vec<Arc<str>>),
    /// DeleteParameters.
    DeleteMany(Vec<Arc<str>>),
    /// AddTagsToResource.
    Tag(Arc<str>, Vec<(Arc<str>, Arc<str>)>),
    /// RemoveTagsFromResource.
    Untag(Arc<str>, Vec<Arc<str>>),
    /// ListTagsForResource.
    Tags(Arc<str>),
}

/// A name, and perhaps a version behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As it was given: the answer repeats it.
    pub given: Arc<str>,
    /// The parameter's name.
    pub name: Arc<str>,
    /// A version, or a label, of which there are none.
    pub selector: Option<Arc<str>>,
}

/// PutParameter.
#[derive(Debug, Clone)]
pub struct Put {
    /// Its name.
    pub name: Arc<str>,
    /// Its type; needed for a new one.
    pub kind: Option<Kind>,
    /// Its value.
    pub value: Arc<str>,
    /// In words.
    pub description: Option<Arc<str>>,
    /// What the value must match.
    pub pattern: Option<Arc<str>>,
    /// Name of a key; only shown.
    pub key_id: Option<Arc<str>>,
    /// Its tier.
    pub tier: Option<Tier>,
    /// Whether it may be there.
    pub overwrites: bool,
    /// Tags of a new one.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// Which parameters are shown.
#[derive(Debug, Clone)]
pub struct List {
    /// Only those under this path.
    pub path: Option<Arc<str>>,
    /// Whether deeper ones than the next level.
    pub recursive: bool,
    /// Whether a `SecureString` is shown.
    pub decrypts: bool,
    /// Only those that pass all of them.
    pub filters: Vec<Filter>,
    /// Only those after this name.
    pub after: Arc<str>,
    /// At most so many.
    pub limit: usize,
}

impl Request {
    /// The request that `body` makes of an operation. `None`: there is no such operation here.
    pub fn parse(operation: &str, body: &Json) -> Option<Result<Request, ApiError>> {
        let params = Params::new(body, "ValidationException");
        Some(match operation {
            "PutParameter" => Put::parse(params).map(Box::new).map(Request::Put),
            "GetParameter" => params.only(&["Name", "WithDecryption"]).and_then(|()| {
                let decrypts = decrypts(params)?;
                Ok(Request::Get { name: Name::parse(params.text("Name")?)?, decrypts })
            }),
            "GetParameters" => params.only(&["Names", "WithDecryption"]).and_then(|()| {
                let given = names(params)?;
                let parsed = given.iter().map(|name| Name::parse(name));
                let names = parsed.collect::<Result<Vec<_>, _>>()?;
                let same = |at: usize| names[..at].iter().any(|other| other.name == names[at].name);
                if (0..names.len()).any(same) {
                    return Err(invalid("Duplicate parameter names are not allowed."));
                }
                Ok(Request::GetMany { names, decrypts: decrypts(params)? })
            }),
            "GetParametersByPath" => by_path(params).map(Box::new).map(Request::GetByPath),
            "DescribeParameters" => describe(params).map(Box::new).map(Request::Describe),
            "GetParameterHistory" => history(params),
            "DeleteParameter" => {
                params.only(&["Name"]).and_then(|()| Ok(Request::Delete(vec![name(params)?])))
            }
            "DeleteParameters" => {
                params.only(&["Names"]).and_then(|()| Ok(Request::DeleteMany(names(params)?)))
            }
            "AddTagsToResource" => params
                .only(&["ResourceType", "ResourceId", "Tags"])
                .and_then(|()| Ok(Request::Tag(resource(params)?, tags(params)?))),
            "RemoveTagsFromResource" => {
                params.only(&["ResourceType", "ResourceId", "TagKeys"]).and_then(|()| {
                    let keys = params.get("TagKeys").and_then(Json::as_array).unwrap_or_default();
                    let keys = keys.iter().filter_map(Json::as_str).map(Arc::from).collect();
                    Ok(Request::Untag(resource(params)?, keys))
                })
            }
            "ListTagsForResource" => params
                .only(&["ResourceType", "ResourceId"])
                .and_then(|()| Ok(Request::Tags(resource(params)?))),
            "LabelParameterVersion" | "UnlabelParameterVersion" => {
                let message = format!(
                    "`{operation}` is refused: labels of parameters are not \
                                       available in stepwire, versions are"
                );
                Err(ApiError::new("UnknownOperationException", message))
            }
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Get { .. }
            | Request::GetMany { .. }
            | Request::GetByPath(_)
            | Request::Describe(_)
            | Request::History { .. }
            | Request::Tags(_) => true,
            Request::Put(_)
            | Request::Delete(_)
            | Request::DeleteMany(_)
            | Request::Tag(..)
            | Request::Untag(..) => false,
        }
    }
}

fn decrypts(params: Params<'_>) -> Result<bool, ApiError> {
    Ok(params.optional_bool("WithDecryption")?.unwrap_or(false))
}

/// The name in an ARN, or the name itself.
fn plain(name: &str) -> &str {
    if !name.starts_with("arn:") {
        return name;
    }
    let resource = name.splitn(6, ':').nth(5).and_then(|rest| rest.strip_prefix("parameter"));
    let path = resource.unwrap_or(name);
    // The ARN of `a` is `…:parameter/a`, that of `/a/b` is `…:parameter/a/b`.
    let bare = path.strip_prefix('/').unwrap_or(path);
    if bare.contains('/') { path } else { bare }
}

fn name(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let given = params.text("Name")?;
    checked(given)?;
    Ok(plain(given).into())
}

fn checked(given: &str) -> Result<(), ApiError> {
    let fits = (1..=2_048).contains(&given.len()) && !given.contains('\0');
    fits.then_some(()).ok_or_else(|| invalid("Parameter name must have 1 to 2048 characters."))
}

impl Name {
    fn parse(given: &str) -> Result<Name, ApiError> {
        checked(given)?;
        let whole = plain(given);
        let (name, selector) = match whole.rsplit_once(':') {
            Some((name, selector)) => (name, Some(selector.into())),
            None => (whole, None),
        };
        Ok(Name { given: given.into(), name: name.into(), selector })
    }
}

fn names(params: Params<'_>) -> Result<Vec<Arc<str>>, ApiError> {
    let given = params.get("Names").and_then(Json::as_array).unwrap_or_default();
    if !(1..=NAMES_MAX).contains(&given.len()) {
        let bound = if given.is_empty() {
            "greater than or equal to 1"
        } else {
            "less than or equal to 10"
        };
        let shown: Vec<_> = given.iter().filter_map(Json::as_str).collect();
        let constraint = format!("Member must have length {bound}");
        let value = format!("[{}]", shown.join(", "));
        return Err(params.broken("names", Some(&value), &constraint));
    }
    let names = given.iter().map(|name| {
        let name = name.as_str().ok_or_else(|| params.invalid("Names", "names are strings"))?;
        checked(name)?;
        Ok(Arc::from(plain(name)))
    });
    names.collect()
}

fn resource(params: Params<'_>) -> Result<Arc<str>, ApiError> {
    let kind = params.text("ResourceType")?;
    if kind != "Parameter" {
        let message = format!("resources of type `{kind}` are not available in stepwire");
        return Err(ApiError::new("InvalidResourceType", message));
    }
    let id = params.text("ResourceId")?;
    checked(id)?;
    Ok(plain(id).into())
}

type Tags = Vec<(Arc<str>, Arc<str>)>;

fn tags(params: Params<'_>) -> Result<Tags, ApiError> {
    let given = params.get("Tags").and_then(Json::as_array).unwrap_or_default().iter();
    let pair = |tag: &Json| {
        let text = |name| tag.member(name).and_then(Json::as_str).map(Arc::from);
        text("Key")
            .zip(text("Value"))
            .ok_or_else(|| params.invalid("Tags", "a tag has a key and a value"))
    };
    given.map(pair).collect()
}

/// How many of what is asked for one page shows.
fn limit(params: Params<'_>, max: i64, default: i64) -> Result<usize, ApiError> {
    let given = params.optional_int("MaxResults")?.unwrap_or(default);
    if (1..=max).contains(&given) {
        return Ok(given as usize);
    }
    let bound = if given < 1 {
        "Member must have value greater than or equal to 1".to_owned()
    } else {
        format!("Member must have value less than or equal to {max}")
    };
    Err(params.broken("maxResults", Some(&given.to_string()), &bound))
}

fn by_path(params: Params<'_>) -> Result<List, ApiError> {
    params.only(&[
        "Path",
        "Recursive",
        "ParameterFilters",
        "WithDecryption",
        "MaxResults",
        "NextToken",
    ])?;
    let path = params.text("Path")?;
    if !path.starts_with('/') || path.contains("//") {
        let message = "The parameter path must start with \"/\" and have parts of letters, digits \
                       and .-_ between slashes.";
        return Err(invalid(message));
    }
    Ok(List {
        path: Some(path.into()),
        recursive: params.optional_bool("Recursive")?.unwrap_or(false),
        decrypts: decrypts(params)?,
        filters: Filter::parse(params, &["Type", "KeyId"])?,
        after: params.optional_text("NextToken")?.unwrap_or_default().into(),
        limit: limit(params, 10, 10)?,
    })
}

fn describe(params: Params<'_>) -> Result<List, ApiError> {
    params.only(&["Filters", "ParameterFilters", "MaxResults", "NextToken", "Shared"])?;
    let keys = ["Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag"];
    Ok(List {
        path: None,
        recursive: true,
        decrypts: false,
        filters: Filter::parse(params, &keys)?,
        after: params.optional_text("NextToken")?.unwrap_or_default().into(),
        limit: limit(params, 50, 50)?,
    })
}

fn history(params: Params<'_>) -> Result<Request, ApiError> {
    params.only(&["Name", "WithDecryption", "MaxResults", "NextToken"])?;
    let after = match params.optional_text("NextToken")? {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| ApiError::new("InvalidNextToken", "The specified token is not valid."))?,
    };
    Ok(Request::History {
        name: name(params)?,
        decrypts: decrypts(params)?,
        after,
        limit: limit(params, 50, 50)?,
    })
}

impl Put {
    fn parse(params: Params<'_>) -> Result<Put, ApiError> {
        params.only(&[
            "Name",
            "Description",
            "Value",
            "Type",
            "KeyId",
            "Overwrite",
            "AllowedPattern",
            "Tags",
            "Tier",
            "DataType",
        ])?;
        let name = name(params)?;
        new_name(&name)?;
        let kind = match params.optional_text("Type")? {
            None => None,
            Some("String") => Some(Kind::String),
            Some("StringList") => Some(Kind::StringList),
            Some("SecureString") => Some(Kind::SecureString),
            Some(other) => {
                let constraint = "Member must satisfy enum value set: [SecureString, StringList, \
                                  String]";
                return Err(params.broken("type", Some(other), constraint));
            }
        };
        if let Some(other) = params.optional_text("DataType")?.filter(|other| *other != "text") {
            let message =
                format!("the data type `{other}` is not available in stepwire: `text` is");
            return Err(invalid(&message));
        }
        let value = params.text("Value")?;
        if value.is_empty() {
            let least = "Member must have length greater than or equal to 1";
            return Err(params.broken("value", Some(value), least));
        }
        if value.len() > 8_192 {
            return Err(invalid("Parameter values have at most 8192 characters."));
        }
        let pattern = params.optional_text_within("AllowedPattern", 1_024)?;
        if let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) {
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
                let message = "The pattern is not a regular expression.";
                ApiError::new("InvalidAllowedPatternException", message)
            })?;
            if !regex.is_match(value) {
                let message = format!(
                    "Parameter value, cannot be validated against allowedPattern: {pattern}"
                );
                return Err(ApiError::new("ParameterPatternMismatchException", message));
            }
        }
        let overwrites = params.optional_bool("Overwrite")?.unwrap_or(false);
        let tags = tags(params)?;
        if overwrites && !tags.is_empty() {
            let message = "Invalid request: tags and overwrite can't be used together. To create a \
                           parameter with tags, please remove overwrite flag. To update tags for an \
                           existing parameter, please use AddTagsToResource or \
                           RemoveTagsFromResource.";
            return Err(invalid(message));
        }
        let key_id = params.optional_text("KeyId")?.map(Arc::from);
        if key_id.is_some() && kind != Some(Kind::SecureString) {
            return Err(invalid("KeyId is required for SecureString type parameter only."));
        }
        let tier = match params.optional_text("Tier")? {
            None => None,
            Some("Intelligent-Tiering") if value.len() > 4_096 => Some(Tier::Advanced),
            Some("Standard" | "Intelligent-Tiering") => Some(Tier::Standard),
            Some("Advanced") => Some(Tier::Advanced),
            Some(other) => {
                let constraint = "Member must satisfy enum value set: [Standard, Advanced, \
                                  Intelligent-Tiering]";
                return Err(params.broken("tier", Some(other), constraint));
            }
        };
        Ok(Put {
            name,
            kind,
            value: value.into(),
            description: params.optional_text_within("Description", 1_024)?.map(Arc::from),
            pattern: pattern.map(Arc::from),
            key_id,
            tier,
            overwrites,
            tags,
        })
    }
}

/// Whether something new may have this name.
fn new_name(name: &str) -> Result<(), ApiError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"./-_".contains(&byte);
    let levels = name.trim_start_matches('/').split('/').count();
    if levels > LEVELS_MAX {
        let message = format!(
            "A hierarchy can have a maximum of {LEVELS_MAX} levels. For more \
                               information, see Requirements and constraints for parameter names."
        );
        return Err(ApiError::new("HierarchyLevelLimitExceededException", message));
    }
    let lower = name.to_ascii_lowercase();
    let bare = lower.strip_prefix('/').unwrap_or(&lower);
    if bare.starts_with("aws") || bare.starts_with("ssm") {
        if bare.starts_with("aws/") || bare == "aws" {
            let message = format!("No access to reserved parameter name: {name}.");
            return Err(ApiError::new("AccessDeniedException", message));
        }
        let message = "Parameter name: can't be prefixed with \"aws\" or \"ssm\" \
                       (case-insensitive). If formed as a path, it can consist of sub-paths \
                       divided by slash symbol; each sub-path can be formed as a mix of letters, \
                       numbers and the following 3 symbols .-_";
        return Err(invalid(message));
    }
    let empty_part = name.trim_start_matches('/').split('/').any(str::is_empty);
    if !name.bytes().all(known) || empty_part || name.starts_with("//") {
        let message = "Parameter name must be a fully qualified name: letters, numbers and .-_, in \
                       a path divided by slash symbols.";
        return Err(invalid(message));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    if name.len() > NAME_MAX {
        let message = format!("Parameter names have at most {NAME_MAX} characters.");
        return Err(invalid(&message));
    }
    Ok(())
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("ValidationException", message)
}
