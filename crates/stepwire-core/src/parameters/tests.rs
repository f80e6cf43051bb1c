use std::collections::BTreeMap;

use super::*;
use crate::read::Range;
use crate::settings::Settings;

/// The store.
#[derive(Default)]
struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Read for Store {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn range(&self, range: &Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        let found = self.0.range(range.from.clone()..range.to.clone()).take(range.limit);
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Store {
    fn ask(&mut self, operation: &str, body: &str) -> Result<Json, ApiError> {
        let body = Json::parse(body).expect("it is JSON");
        let request = Request::parse(operation, &body).expect("it is an operation")?;
        if request.is_read() {
            return answer(&request, self, &Settings::default());
        }
        let mut writes = Vec::new();
        let answer = call(Timestamp(5_000), &request, self, &mut writes)?;
        for (key, value) in writes.iter().map(Write::entry) {
            match value {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(answer)
    }

    fn code(&mut self, operation: &str, body: &str) -> String {
        self.ask(operation, body).map_or_else(|error| error.code.into_owned(), |_| "ok".into())
    }

    fn value(&mut self, body: &str) -> String {
        let answer = self.ask("GetParameter", body).expect("it is there");
        let value = answer.member("Parameter").and_then(|found| found.member("Value"));
        value.and_then(Json::as_str).unwrap_or_default().to_owned()
    }
}

#[test]
fn a_value_is_put_read_and_overwritten() {
    let mut store = Store::default();
    let put = r#"{"Name":"/a/b","Value":"1","Type":"String"}"#;
    assert_eq!(store.code("PutParameter", put), "ok");
    assert_eq!(store.code("PutParameter", put), "ParameterAlreadyExists");
    let over = r#"{"Name":"/a/b","Value":"2","Overwrite":true}"#;
    assert_eq!(store.code("PutParameter", over), "ok");
    assert_eq!(store.value(r#"{"Name":"/a/b"}"#), "2");
    assert_eq!(store.value(r#"{"Name":"/a/b:1"}"#), "1");
    let arn = r#"{"Name":"arn:aws:ssm:us-east-1:000000000000:parameter/a/b"}"#;
    assert_eq!(store.value(arn), "2");
    assert_eq!(store.code("GetParameter", r#"{"Name":"/a/b:9"}"#), "ParameterVersionNotFound");
    assert_eq!(store.code("DeleteParameter", r#"{"Name":"/a/b"}"#), "ok");
    assert_eq!(store.code("GetParameter", r#"{"Name":"/a/b"}"#), "ParameterNotFound");
    assert!(store.0.is_empty(), "no version is left");
}

#[test]
fn a_secret_is_shown_only_when_its_decryption_is_asked_for() {
    let mut store = Store::default();
    let put = r#"{"Name":"s","Value":"hidden","Type":"SecureString"}"#;
    assert_eq!(store.code("PutParameter", put), "ok");
    assert_ne!(store.value(r#"{"Name":"s"}"#), "hidden");
    assert_eq!(store.value(r#"{"Name":"s","WithDecryption":true}"#), "hidden");
}

#[test]
fn a_path_is_listed_by_level_and_by_page() {
    let mut store = Store::default();
    for name in ["/p/a", "/p/b", "/p/c/d", "/pq", "/q"] {
        let put = format!(r#"{{"Name":"{name}","Value":"v","Type":"String"}}"#);
        assert_eq!(store.code("PutParameter", &put), "ok");
    }
    let mut names = |body: &str| {
        let answer = store.ask("GetParametersByPath", body).expect("a list");
        let found = answer.member("Parameters").and_then(Json::as_array).unwrap_or_default();
        let names = found.iter().filter_map(|one| one.member("Name")?.as_str());
        let names = names.collect::<Vec<_>>().join(" ");
        (names, answer.member("NextToken").and_then(Json::as_str).map(str::to_owned))
    };
    assert_eq!(names(r#"{"Path":"/p"}"#), ("/p/a /p/b".into(), None));
    let deep = r#"{"Path":"/p/","Recursive":true,"MaxResults":2}"#;
    assert_eq!(names(deep), ("/p/a /p/b".into(), Some("/p/b".into())));
    let next = r#"{"Path":"/p","Recursive":true,"NextToken":"/p/b"}"#;
    assert_eq!(names(next), ("/p/c/d".into(), None));
    assert_eq!(names(r#"{"Path":"/"}"#), ("/pq /q".into(), None));
}

#[test]
fn names_and_values_are_checked() {
    let mut store = Store::default();
    let cases = [
        (r#"{"Name":"aws-x","Value":"v","Type":"String"}"#, "ValidationException"),
        (r#"{"Name":"/aws/x","Value":"v","Type":"String"}"#, "AccessDeniedException"),
        (r#"{"Name":"a/b","Value":"v","Type":"String"}"#, "ValidationException"),
        (r#"{"Name":"a b","Value":"v","Type":"String"}"#, "ValidationException"),
        (r#"{"Name":"a","Value":"v"}"#, "ValidationException"),
        (r#"{"Name":"a","Value":"v","Type":"Number"}"#, "ValidationException"),
        (
            r#"{"Name":"a","Value":"v","Type":"String","AllowedPattern":"[0-9]+"}"#,
            "ParameterPatternMismatchException",
        ),
        (r#"{"Name":"a","Value":"v","Type":"String","Policies":"[]"}"#, "ValidationException"),
    ];
    for (body, code) in cases {
        assert_eq!(store.code("PutParameter", body), code, "{body}");
    }
    assert!(store.0.is_empty());
}

#[test]
fn only_so_many_versions_are_kept() {
    let mut store = Store::default();
    for value in 0..105 {
        let put = format!(r#"{{"Name":"n","Value":"{value}","Type":"String","Overwrite":true}}"#);
        assert_eq!(store.code("PutParameter", &put), "ok");
    }
    assert_eq!(store.0.len(), 1 + VERSIONS_MAX);
    assert_eq!(store.value(r#"{"Name":"n:105"}"#), "104");
    assert_eq!(store.code("GetParameter", r#"{"Name":"n:5"}"#), "ParameterVersionNotFound");
}
