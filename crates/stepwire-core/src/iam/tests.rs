use super::*;

const TRUST: &str =
    r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}"#;
const MAY: &str = r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
const NOW: Timestamp = Timestamp(1_000_000);

#[derive(Default)]
struct Account {
    iam: Iam,
    settings: Settings,
    writes: Vec<Write>,
}

impl Account {
    fn ask(&mut self, operation: &str, body: Json) -> Result<Json, ApiError> {
        let request = Request::parse(operation, &body).expect("it is an operation")?;
        let stored = Stored(&self.writes);
        if request.is_read() {
            return answer(&request, &stored, &self.settings);
        }
        self.iam.call(NOW, &request, &self.settings, &mut self.writes)
    }

    fn code(&mut self, operation: &str, body: Json) -> String {
        self.ask(operation, body).map_or_else(|error| error.code.into_owned(), |_| "ok".into())
    }
}

/// What the writes come to.
struct Stored<'a>(&'a [Write]);

impl crate::Read for Stored<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let found = self.0.iter().rev().map(Write::entry).find(|(there, _)| there == key);
        found.and_then(|(_, value)| value)
    }

    fn range(&self, range: &crate::read::Range) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = BTreeMap::new();
        self.0.iter().map(Write::entry).for_each(|(key, value)| drop(all.insert(key, value)));
        let inside = all.into_iter().filter(|(key, _)| *key >= range.from && *key < range.to);
        inside.filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

fn object<const N: usize>(members: [(&str, &str); N]) -> Json {
    Json::object(members.map(|(name, value)| (name, Json::from(value))))
}

fn create(account: &mut Account) {
    let body = object([("RoleName", "Worker"), ("AssumeRolePolicyDocument", TRUST)]);
    assert_eq!(account.code("CreateRole", body), "ok");
}

#[test]
fn a_role_is_shown_as_it_was_made() {
    let mut account = Account::default();
    create(&mut account);
    let shown = account.ask("GetRole", object([("RoleName", "worker")])).expect("it is there");
    let role = shown.member("Role").expect("a role");
    let text = |name| role.member(name).and_then(Json::as_str).map(str::to_owned);
    assert_eq!(text("Arn").as_deref(), Some("arn:aws:iam::000000000000:role/Worker"));
    assert!(text("RoleId").is_some_and(|id| id.starts_with("AROA") && id.len() == 21));
    let document = text("AssumeRolePolicyDocument").expect("a document");
    assert!(document.starts_with("%7B%22Statement%22"), "{document}");
}

#[test]
fn a_role_with_policies_is_not_deleted() {
    let mut account = Account::default();
    create(&mut account);
    let again = object([("RoleName", "WORKER"), ("AssumeRolePolicyDocument", TRUST)]);
    assert_eq!(account.code("CreateRole", again), "EntityAlreadyExists");
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let attachment = || object([("RoleName", "Worker"), ("PolicyArn", basic)]);
    assert_eq!(account.code("AttachRolePolicy", attachment()), "ok");
    assert_eq!(account.code("DeleteRole", object([("RoleName", "Worker")])), "DeleteConflict");
    assert_eq!(account.code("DetachRolePolicy", attachment()), "ok");
    assert_eq!(account.code("DetachRolePolicy", attachment()), "NoSuchEntity");
    let inline = [("RoleName", "Worker"), ("PolicyName", "p"), ("PolicyDocument", MAY)];
    assert_eq!(account.code("PutRolePolicy", object(inline)), "ok");
    assert_eq!(account.code("DeleteRole", object([("RoleName", "Worker")])), "DeleteConflict");
    let inline = object([("RoleName", "Worker"), ("PolicyName", "p")]);
    assert_eq!(account.code("DeleteRolePolicy", inline), "ok");
    assert_eq!(account.code("DeleteRole", object([("RoleName", "Worker")])), "ok");
    assert_eq!(account.code("GetRole", object([("RoleName", "Worker")])), "NoSuchEntity");
}

#[test]
fn versions_of_a_policy_are_counted() {
    let mut account = Account::default();
    let body = object([("PolicyName", "P"), ("PolicyDocument", MAY), ("Path", "/a/")]);
    assert_eq!(account.code("CreatePolicy", body), "ok");
    let arn = "arn:aws:iam::000000000000:policy/a/P";
    let version =
        || object([("PolicyArn", arn), ("PolicyDocument", MAY), ("SetAsDefault", "true")]);
    for _ in 0..4 {
        assert_eq!(account.code("CreatePolicyVersion", version()), "ok");
    }
    assert_eq!(account.code("CreatePolicyVersion", version()), "LimitExceeded");
    let of = |version| object([("PolicyArn", arn), ("VersionId", version)]);
    assert_eq!(account.code("DeletePolicyVersion", of("v5")), "DeleteConflict");
    assert_eq!(account.code("DeletePolicyVersion", of("v1")), "ok");
    assert_eq!(account.code("GetPolicyVersion", of("v1")), "NoSuchEntity");
    assert_eq!(account.code("DeletePolicy", object([("PolicyArn", arn)])), "DeleteConflict");
}

#[test]
fn a_role_is_assumed_only_when_it_is_there() {
    let mut account = Account::default();
    create(&mut account);
    let assume = |role: &str| {
        let body = object([("RoleArn", role), ("RoleSessionName", "me")]);
        sts::Request::parse("AssumeRole", &body).expect("an operation").expect("a request")
    };
    let there = assume("arn:aws:iam::000000000000:role/Worker");
    let answer = account.iam.call_sts(NOW, &there, &account.settings).expect("credentials");
    let token = answer.member("Credentials").and_then(|made| made.member("SessionToken"));
    let token = token.and_then(Json::as_str).expect("a token");
    let (session, _) = Session::open(token, &account.settings.secret).expect("it opens");
    assert_eq!(&*session.arn, "arn:aws:sts::000000000000:assumed-role/Worker/me");
    assert_eq!(session.expires, NOW.plus_ms(3_600_000));
    let missing = assume("arn:aws:iam::000000000000:role/Nobody");
    let refused = account.iam.call_sts(NOW, &missing, &account.settings).expect_err("no role");
    assert_eq!(refused.code, "AccessDenied");
}

#[test]
fn users_are_refused_by_name() {
    for operation in ["CreateUser", "CreateAccessKey", "AddUserToGroup"] {
        let refused = Request::parse(operation, &nothing()).expect("it is named").expect_err("no");
        assert!(refused.message.contains(operation), "{}", refused.message);
    }
    assert!(Request::parse("Nonsense", &nothing()).is_none());
}
