use super::*;
use crate::read::{Range, Read};

/// A node's secrets and its store.
#[derive(Default)]
struct Node {
    secrets: Secrets,
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
    now: i64,
    calls: u64,
}

impl Read for Node {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.stored.get(key).cloned()
    }

    fn range(&self, range: &Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        let found = self.stored.range(range.from.clone()..range.to.clone()).take(range.limit);
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Node {
    fn ask(&mut self, operation: &str, body: &str) -> Result<Json, ApiError> {
        let body = Json::parse(body).expect("it is JSON");
        let request = Request::parse(operation, &body).expect("it is an operation")?;
        let settings = Settings::default();
        if request.is_read() {
            return answer(&request, self, &settings);
        }
        let (mut writes, now) = (Vec::new(), Timestamp(self.now));
        self.calls += 1;
        let answer = self.secrets.call(now, &request, self.calls, &settings, &mut writes);
        assert!(answer.is_ok() || writes.is_empty(), "{operation} is refused and writes");
        self.store(&writes);
        answer
    }

    fn store(&mut self, writes: &[Write]) {
        for (key, value) in writes.iter().map(Write::entry) {
            match value {
                Some(value) => drop(self.stored.insert(key, value)),
                None => drop(self.stored.remove(&key)),
            }
        }
        let mut loaded = Secrets::default();
        for (key, value) in self.range(&record::all()) {
            loaded.load(&key, &value).expect("it can be read");
        }
        assert_eq!(loaded, self.secrets, "what is stored is what is in memory");
    }

    fn good(&mut self, operation: &str, body: &str) -> Json {
        self.ask(operation, body).unwrap_or_else(|error| panic!("{operation} {body}: {error}"))
    }

    fn wrong(&mut self, operation: &str, body: &str) -> String {
        self.ask(operation, body).expect_err("it is refused").to_string()
    }

    /// The value at a stage.
    fn at(&mut self, stage: &str) -> String {
        let body = format!(r#"{{"SecretId":"s","VersionStage":"{stage}"}}"#);
        let answer = self.ask("GetSecretValue", &body);
        answer.map_or_else(|error| error.message, |answer| text(&answer, "SecretString"))
    }
}

fn text(answer: &Json, member: &str) -> String {
    answer.member(member).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// A version id.
fn v(n: u8) -> String {
    format!("{n:032}")
}

#[test]
fn a_new_value_is_current_and_the_one_before_is_previous() {
    let mut node = Node::default();
    node.good("CreateSecret", r#"{"Name":"s","SecretString":"one"}"#);
    node.good("PutSecretValue", r#"{"SecretId":"s","SecretString":"two"}"#);
    assert_eq!((node.at("AWSCURRENT"), node.at("AWSPREVIOUS")), ("two".into(), "one".into()));
    node.good("UpdateSecret", r#"{"SecretId":"s","SecretString":"three","Description":"d"}"#);
    assert_eq!((node.at("AWSCURRENT"), node.at("AWSPREVIOUS")), ("three".into(), "two".into()));
    let listed = node.good("ListSecretVersionIds", r#"{"SecretId":"s"}"#);
    assert_eq!(listed.member("Versions").and_then(Json::as_array).map(<[_]>::len), Some(2));
    let body = r#"{"SecretId":"s","IncludeDeprecated":true}"#;
    let listed = node.good("ListSecretVersionIds", body);
    assert_eq!(listed.member("Versions").and_then(Json::as_array).map(<[_]>::len), Some(3));
}

#[test]
fn a_pending_value_becomes_current_when_its_stage_is_moved() {
    let mut node = Node::default();
    let (one, two) = (v(1), v(2));
    let create = format!(r#"{{"Name":"s","SecretString":"one","ClientRequestToken":"{one}"}}"#);
    node.good("CreateSecret", &create);
    let put = format!(
        r#"{{"SecretId":"s","SecretString":"two","ClientRequestToken":"{two}","VersionStages":["AWSPENDING"]}}"#
    );
    node.good("PutSecretValue", &put);
    assert_eq!((node.at("AWSCURRENT"), node.at("AWSPENDING")), ("one".into(), "two".into()));
    let alone =
        format!(r#"{{"SecretId":"s","VersionStage":"AWSCURRENT","MoveToVersionId":"{two}"}}"#);
    let told = node.wrong("UpdateSecretVersionStage", &alone);
    assert!(told.contains(&format!("currently attached to version {one}")), "{told}");
    let moved = format!(
        r#"{{"SecretId":"s","VersionStage":"AWSCURRENT","MoveToVersionId":"{two}","RemoveFromVersionId":"{one}"}}"#
    );
    node.good("UpdateSecretVersionStage", &moved);
    assert_eq!((node.at("AWSCURRENT"), node.at("AWSPREVIOUS")), ("two".into(), "one".into()));
    let gone =
        format!(r#"{{"SecretId":"s","VersionStage":"AWSPENDING","RemoveFromVersionId":"{two}"}}"#);
    node.good("UpdateSecretVersionStage", &gone);
    assert!(node.at("AWSPENDING").ends_with("for staging label: AWSPENDING"));
    let gone =
        format!(r#"{{"SecretId":"s","VersionStage":"AWSCURRENT","RemoveFromVersionId":"{two}"}}"#);
    assert!(node.wrong("UpdateSecretVersionStage", &gone).contains("can't be completely removed"));
}

#[test]
fn a_request_made_twice_has_one_effect() {
    let mut node = Node::default();
    let one = v(1);
    let create = |name: &str, value: &str| {
        format!(r#"{{"Name":"{name}","SecretString":"{value}","ClientRequestToken":"{one}"}}"#)
    };
    let first = node.good("CreateSecret", &create("s", "a"));
    assert_eq!(node.good("CreateSecret", &create("s", "a")), first);
    assert!(node.wrong("CreateSecret", &create("s", "b")).contains("already exists"));
    let put = |value: &str| {
        format!(r#"{{"SecretId":"s","SecretString":"{value}","ClientRequestToken":"{one}"}}"#)
    };
    node.good("PutSecretValue", &put("a"));
    assert!(node.wrong("PutSecretValue", &put("b")).contains("already in use for a version"));
    assert_eq!(node.at("AWSCURRENT"), "a");
}

#[test]
fn a_secret_is_found_by_name_by_arn_and_by_the_arn_without_its_end() {
    let mut node = Node::default();
    let made = node.good("CreateSecret", r#"{"Name":"a/b-123456","SecretString":"x"}"#);
    node.good("CreateSecret", r#"{"Name":"a/b","SecretString":"other"}"#);
    let arn = text(&made, "ARN");
    let short = arn.rsplit_once('-').map(|(short, _)| short).unwrap_or_default();
    for id in ["a/b-123456", &arn, short] {
        let answer = node.good("GetSecretValue", &format!(r#"{{"SecretId":"{id}"}}"#));
        assert_eq!(text(&answer, "SecretString"), "x", "{id}");
    }
    for id in
        ["a/c", "arn:aws:secretsmanager:us-east-1:000000000000:secret:", &arn[..arn.len() - 1]]
    {
        let told = node.wrong("GetSecretValue", &format!(r#"{{"SecretId":"{id}"}}"#));
        assert!(told.contains("can't find the specified secret"), "{id}: {told}");
    }
}

#[test]
fn a_deleted_secret_can_be_restored_until_its_time_has_come() {
    let mut node = Node::default();
    node.good("CreateSecret", r#"{"Name":"s","SecretString":"x"}"#);
    node.good("DeleteSecret", r#"{"SecretId":"s","RecoveryWindowInDays":7}"#);
    assert!(node.at("AWSCURRENT").contains("marked for deletion"));
    assert!(node.wrong("CreateSecret", r#"{"Name":"s"}"#).contains("already scheduled"));
    let shown = |node: &mut Node| node.good("ListSecrets", "{}").member("SecretList").cloned();
    assert_eq!(shown(&mut node), Some(Json::array([])));
    node.good("RestoreSecret", r#"{"SecretId":"s"}"#);
    assert_eq!((node.at("AWSCURRENT"), node.secrets.due()), ("x".into(), None));
    node.good("DeleteSecret", r#"{"SecretId":"s"}"#);
    let due = node.secrets.due().expect("it is to be removed");
    assert_eq!(due, Timestamp(30 * DAY_MS));
    let mut writes = Vec::new();
    node.secrets.remove_overdue(Timestamp(due.0 - 1), &mut writes);
    assert_eq!(writes, []);
    node.secrets.remove_overdue(due, &mut writes);
    node.store(&writes);
    assert!(node.stored.is_empty(), "nothing of it is left");
    node.good("DeleteSecret", r#"{"SecretId":"s","ForceDeleteWithoutRecovery":true}"#);
}

#[test]
fn a_hundred_versions_are_kept() {
    let mut node = Node::default();
    node.good("CreateSecret", r#"{"Name":"s","SecretString":"0"}"#);
    for n in 1..130 {
        node.good("PutSecretValue", &format!(r#"{{"SecretId":"s","SecretString":"{n}"}}"#));
    }
    assert_eq!(node.stored.len(), 1 + VERSIONS_MAX);
    assert_eq!((node.at("AWSCURRENT"), node.at("AWSPREVIOUS")), ("129".into(), "128".into()));
}

#[test]
fn a_password_is_what_is_asked_for_and_another_each_time() {
    let mut node = Node::default();
    let mut draw = |body: &str| text(&node.good("GetRandomPassword", body), "RandomPassword");
    let plain = draw("{}");
    assert_eq!(plain.len(), 32);
    for of in [char::is_uppercase, char::is_lowercase, char::is_numeric] {
        assert!(plain.chars().any(of), "{plain}");
    }
    assert!(plain.chars().any(|c| c.is_ascii_punctuation()), "{plain}");
    assert_ne!(draw("{}"), plain);
    let digits = r#"{"PasswordLength":400,"ExcludeUppercase":true,"ExcludeLowercase":true,
        "ExcludePunctuation":true,"ExcludeCharacters":"05"}"#;
    let digits = draw(digits);
    assert_eq!(digits.len(), 400);
    for digit in ('0'..='9').filter(|digit| !"05".contains(*digit)) {
        // 50 on average.
        let count = digits.matches(digit).count();
        assert!((15..120).contains(&count), "{digit} is drawn {count} times");
    }
    assert!(!digits.contains(['0', '5']));
    let short = node.wrong("GetRandomPassword", r#"{"PasswordLength":3}"#);
    assert!(short.contains("too short"), "{short}");
}

#[test]
fn what_is_secret_is_not_shown_by_debug() {
    let body = Json::parse(r#"{"Name":"s","SecretString":"hunter2"}"#).expect("it is JSON");
    let request = Request::parse("CreateSecret", &body);
    assert!(!format!("{request:?}").contains("hunter2"), "{request:?}");
    let long = format!(r#"{{"Name":"s","SecretString":"{}"}}"#, "hunter2".repeat(10_000));
    let told = Node::default().wrong("CreateSecret", &long);
    assert!(!told.contains("hunter2") && told.contains("65536"), "{told}");
}

#[test]
fn lists_are_filtered_ordered_and_have_pages() {
    let mut node = Node::default();
    for (name, tag) in [("app/b", "x"), ("app/a", "y"), ("web/c", "y")] {
        node.now += 1;
        let body = format!(
            r#"{{"Name":"{name}","Description":"The {tag}","Tags":[{{"Key":"of","Value":"{tag}"}}]}}"#
        );
        node.good("CreateSecret", &body);
    }
    let mut names = |body: &str| {
        let answer = node.good("ListSecrets", body);
        let list = answer.member("SecretList").and_then(Json::as_array).unwrap_or_default();
        let names: Vec<String> = list.iter().map(|secret| text(secret, "Name")).collect();
        (names.join(" "), text(&answer, "NextToken"))
    };
    assert_eq!(names("{}").0, "app/b app/a web/c");
    assert_eq!(names(r#"{"SortBy":"name","SortOrder":"desc"}"#).0, "web/c app/b app/a");
    let filter = |key: &str, value: &str| {
        format!(r#"{{"Filters":[{{"Key":"{key}","Values":["{value}"]}}]}}"#)
    };
    assert_eq!(names(&filter("name", "app/")).0, "app/b app/a");
    assert_eq!(names(&filter("name", "!app/")).0, "web/c");
    assert_eq!(names(&filter("tag-value", "y")).0, "app/a web/c");
    assert_eq!(names(&filter("description", "the X")).0, "app/b");
    assert_eq!(names(&filter("all", "y WEB")).0, "web/c");
    let (first, next) = names(r#"{"MaxResults":2}"#);
    assert_eq!(first, "app/b app/a");
    assert_eq!(names(&format!(r#"{{"NextToken":"{next}"}}"#)), ("web/c".into(), String::new()));
    assert!(node.wrong("ListSecrets", r#"{"NextToken":"no"}"#).contains("NextToken"));
}
