//! Requests on static thing groups, parsed. Source: AWS IoT API reference (service model `iot`).

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwire_asl::Json;

use crate::error::ApiError;
use crate::params::Params;
use crate::registry::attributes::{AttributePayload, Attributes, description};
use crate::registry::listing::{Page, page};
use crate::registry::names::{checked_name, name, optional_name};
use crate::registry::tags::{self, Tags};

/// A request on static thing groups and the members of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// CreateThingGroup
    Create {
        /// `thingGroupName`
        name: Arc<str>,
        /// `parentGroupName`
        parent: Option<Arc<str>>,
        /// `thingGroupProperties.thingGroupDescription`
        description: Option<Arc<str>>,
        /// `thingGroupProperties.attributePayload.attributes`
        attributes: Attributes,
        /// `tags`
        tags: Tags,
    },
    /// UpdateThingGroup
    Update {
        /// `thingGroupName`
        name: Arc<str>,
        /// `thingGroupProperties.thingGroupDescription`; without one it stays.
        description: Option<Arc<str>>,
        /// `thingGroupProperties.attributePayload`
        attributes: AttributePayload,
        /// `expectedVersion`
        expected: Option<i64>,
    },
    /// DescribeThingGroup
    Describe(Arc<str>),
    /// ListThingGroups
    List {
        /// `parentGroup`: only groups in this one.
        parent: Option<Arc<str>>,
        /// `namePrefixFilter`
        prefix: Option<Arc<str>>,
        /// `recursive`: not only the parent's direct children, or groups without a parent. The
        /// default, as on AWS, though not in its guide.
        recursive: bool,
        /// Which page.
        page: Page,
    },
    /// DeleteThingGroup
    Delete {
        /// `thingGroupName`
        name: Arc<str>,
        /// `expectedVersion`
        expected: Option<i64>,
    },
    /// AddThingToThingGroup, RemoveThingFromThingGroup, UpdateThingGroupsForThing
    Change {
        /// `thingName`
        thing: Arc<str>,
        /// Groups to take it out of.
        remove: BTreeSet<Arc<str>>,
        /// Groups to put it in.
        add: BTreeSet<Arc<str>>,
        /// `overrideDynamicGroups`: leave dynamic groups where it would be in too many.
        override_dynamic: bool,
    },
    /// ListThingsInThingGroup
    ListThings {
        /// `thingGroupName`
        group: Arc<str>,
        /// Those in groups below it, too.
        recursive: bool,
        /// Which page.
        page: Page,
    },
    /// ListThingGroupsForThing
    ListOfThing(Arc<str>, Page),
}

impl Request {
    /// The request that the members make of `operation`; `None` for other operations.
    pub(crate) fn parse(operation: &str, p: &Params<'_>) -> Option<Result<Request, ApiError>> {
        Some(match operation {
            "CreateThingGroup" => create(p),
            "UpdateThingGroup" => update(p),
            "DescribeThingGroup" => describe(p),
            "ListThingGroups" => list(p),
            "DeleteThingGroup" => delete(p),
            "AddThingToThingGroup" => add(p),
            "RemoveThingFromThingGroup" => remove(p),
            "UpdateThingGroupsForThing" => change(p),
            "ListThingsInThingGroup" => list_things(p),
            "ListThingGroupsForThing" => list_of_thing(p),
            _ => return None,
        })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Request::Describe(_)
            | Request::List { .. }
            | Request::ListThings { .. }
            | Request::ListOfThing(..) => true,
            Request::Create { .. }
            | Request::Update { .. }
            | Request::Delete { .. }
            | Request::Change { .. } => false,
        }
    }
}

fn create(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "parentGroupName", "thingGroupProperties", "tags"])?;
    let (description, attributes) = match p.get("thingGroupProperties") {
        None => (None, Attributes::new()),
        Some(given) => {
            let inner = &properties(given)?;
            (description(inner, "thingGroupDescription")?, AttributePayload::of_new(inner)?)
        }
    };
    Ok(Request::Create {
        name: name(p, "thingGroupName")?,
        parent: optional_name(p, "parentGroupName")?,
        description,
        attributes,
        tags: tags::given(p)?,
    })
}

fn update(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "thingGroupProperties", "expectedVersion"])?;
    let given = p.get("thingGroupProperties");
    let given =
        given.ok_or_else(|| p.broken("thingGroupProperties", None, "Member must not be null"))?;
    let inner = &properties(given)?;
    Ok(Request::Update {
        name: name(p, "thingGroupName")?,
        description: description(inner, "thingGroupDescription")?,
        attributes: AttributePayload::parse(inner)?,
        expected: p.optional_int("expectedVersion")?,
    })
}

/// The members of `thingGroupProperties`.
pub(in crate::registry) fn properties(given: &Json) -> Result<Params<'_>, ApiError> {
    let inner = Params::new(given, "InvalidRequestException");
    inner.only(&["thingGroupDescription", "attributePayload"])?;
    Ok(inner)
}

fn describe(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName"])?;
    Ok(Request::Describe(name(p, "thingGroupName")?))
}

fn list(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["parentGroup", "namePrefixFilter", "recursive", "maxResults", "nextToken"])?;
    Ok(Request::List {
        parent: optional_name(p, "parentGroup")?,
        prefix: optional_name(p, "namePrefixFilter")?,
        recursive: p.optional_bool("recursive")?.unwrap_or(true),
        page: path_page(p)?,
    })
}

fn delete(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "expectedVersion"])?;
    let expected = p.optional_int("expectedVersion")?;
    Ok(Request::Delete { name: name(p, "thingGroupName")?, expected })
}

fn add(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "thingGroupArn", "thingName", "thingArn", "overrideDynamicGroups"])?;
    Ok(Request::Change {
        thing: named(p, "thingName", "thingArn", "thing")?,
        remove: BTreeSet::new(),
        add: [named(p, "thingGroupName", "thingGroupArn", "thinggroup")?].into(),
        override_dynamic: p.optional_bool("overrideDynamicGroups")?.unwrap_or(false),
    })
}

fn remove(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "thingGroupArn", "thingName", "thingArn"])?;
    Ok(Request::Change {
        thing: named(p, "thingName", "thingArn", "thing")?,
        remove: [named(p, "thingGroupName", "thingGroupArn", "thinggroup")?].into(),
        add: BTreeSet::new(),
        override_dynamic: false,
    })
}

fn change(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "thingGroupsToAdd", "thingGroupsToRemove", "overrideDynamicGroups"])?;
    let (add, remove) = (names(p, "thingGroupsToAdd")?, names(p, "thingGroupsToRemove")?);
    if let Some(both) = add.intersection(&remove).next() {
        return Err(p.invalid("thingGroupsToAdd", &format!("`{both}` is also to be removed")));
    }
    Ok(Request::Change {
        thing: name(p, "thingName")?,
        remove,
        add,
        override_dynamic: p.optional_bool("overrideDynamicGroups")?.unwrap_or(false),
    })
}

fn list_things(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingGroupName", "recursive", "maxResults", "nextToken"])?;
    Ok(Request::ListThings {
        group: name(p, "thingGroupName")?,
        recursive: p.optional_bool("recursive")?.unwrap_or(false),
        page: path_page(p)?,
    })
}

fn list_of_thing(p: &Params<'_>) -> Result<Request, ApiError> {
    p.only(&["thingName", "maxResults", "nextToken"])?;
    Ok(Request::ListOfThing(name(p, "thingName")?, path_page(p)?))
}

/// A page that begins after a name or a path of names, or with the group that a path and `/` is.
fn path_page(p: &Params<'_>) -> Result<Page, ApiError> {
    let page = page(p, "maxResults", "nextToken")?;
    let fits = |after: &Arc<str>| {
        let path = after.strip_suffix('/').unwrap_or(after);
        path.split('/').all(|name| checked_name(name).is_some())
    };
    match &page.after {
        Some(after) if !fits(after) => Err(p.invalid("nextToken", "it is not one that was given")),
        _ => Ok(page),
    }
}

/// What a name, an ARN of this kind, or both name.
fn named(p: &Params<'_>, by_name: &str, by_arn: &str, kind: &str) -> Result<Arc<str>, ApiError> {
    let name = optional_name(p, by_name)?;
    let Some(arn) = p.optional_text(by_arn)? else {
        let why =
            format!("Both {by_arn} and {by_name} are empty. Need to specify at least one of them");
        return name.ok_or_else(|| ApiError::new("InvalidRequestException", why));
    };
    let in_arn = arn.strip_prefix("arn:").and_then(|arn| {
        let (kind_there, name) = arn.splitn(5, ':').nth(4)?.split_once('/')?;
        checked_name(name).filter(|_| kind_there == kind)
    });
    let in_arn = in_arn.ok_or_else(|| p.invalid(by_arn, &format!("it is no ARN of a {kind}")))?;
    match name {
        Some(name) if name != in_arn => {
            Err(p.invalid(by_arn, &format!("it does not match `{by_name}`")))
        }
        _ => Ok(in_arn),
    }
}

fn names(p: &Params<'_>, member: &str) -> Result<BTreeSet<Arc<str>>, ApiError> {
    let Some(given) = p.get(member) else { return Ok(BTreeSet::new()) };
    let given = given.as_array().ok_or_else(|| p.invalid(member, "it must be a list"))?;
    let names = given.iter().map(|name| name.as_str().and_then(checked_name));
    let names = names.collect::<Option<_>>();
    names.ok_or_else(|| p.invalid(member, "it must be a list of names"))
}
