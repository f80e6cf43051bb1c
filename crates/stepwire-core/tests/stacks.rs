//! Stacks: made, changed, undone and removed by the kernel, whatever dies in between.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use stepwire_asl::Json;
use stepwire_core::stacks::StackKey;
use stepwire_core::{ApiError, Effect, Input, Request, Service};

use node::{Node, text};

/// A node whose stacks are worked on.
struct Cloud(Node);

impl Cloud {
    fn new() -> Cloud {
        Cloud(Node::new())
    }

    fn service(&mut self, service: Service, operation: &str, body: Json) -> Result<Json, ApiError> {
        let request = Request::parse(service, operation, &body);
        let request = request.unwrap_or_else(|| panic!("{operation} is not served"))?;
        if request.is_read() {
            return request.answer(&self.0.disk, &self.0.settings);
        }
        self.0.change(request)
    }

    fn call(&mut self, operation: &str, body: Json) -> Result<Json, ApiError> {
        self.service(Service::CloudFormation, operation, body)
    }

    fn done(&mut self, operation: &str, body: Json) -> Json {
        self.call(operation, body).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// A slice of the work on stacks, if one is asked for.
    fn slice(&mut self) -> bool {
        let asked = |effect: &Effect| matches!(effect, Effect::ContinueStack { .. });
        let Some(at) = self.0.effects.iter().position(asked) else { return false };
        let Effect::ContinueStack { stack } = self.0.effects.remove(at) else { return false };
        self.0.input(Input::Stack(stack));
        true
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.slice() {
                self.0.check();
                return;
            }
        }
        panic!("it does not come to an end");
    }

    fn create(&mut self, name: &str, template: &str) -> String {
        self.done("CreateStack", wanted(name, template));
        self.settle();
        self.status(name)
    }

    fn update(&mut self, name: &str, template: &str) -> String {
        self.done("UpdateStack", wanted(name, template));
        self.settle();
        self.status(name)
    }

    fn describe(&mut self, name: &str) -> Json {
        let described = self.done("DescribeStacks", named(name));
        described.member("Stacks").unwrap().as_array().unwrap()[0].clone()
    }

    fn status(&mut self, name: &str) -> String {
        text(&self.describe(name), "StackStatus")
    }

    /// `LOGICAL STATUS reason` of every event, oldest first.
    fn events(&mut self, name: &str) -> Vec<String> {
        let events = self.done("DescribeStackEvents", named(name));
        let events = events.member("StackEvents").unwrap().as_array().unwrap();
        let shown = events.iter().rev().map(|event| {
            let text = |member| text(event, member);
            let (logical, status) = (text("LogicalResourceId"), text("ResourceStatus"));
            format!("{logical} {status} {}", text("ResourceStatusReason")).trim_end().to_owned()
        });
        shown.collect()
    }

    fn resources(&mut self, name: &str) -> Vec<(String, String, String)> {
        let listed = self.done("ListStackResources", named(name));
        let listed = listed.member("StackResourceSummaries").unwrap().as_array().unwrap();
        let of = |one: &Json| {
            let text = |member| text(one, member);
            (text("LogicalResourceId"), text("ResourceStatus"), text("PhysicalResourceId"))
        };
        listed.iter().map(of).collect()
    }

    fn queues(&mut self) -> Vec<String> {
        let listed = self.service(Service::Sqs, "ListQueues", Json::object::<&str>([])).unwrap();
        let urls = listed.member("QueueUrls").and_then(Json::as_array).unwrap_or_default().to_vec();
        urls.iter()
            .map(|url| url.as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    fn outputs(&mut self, name: &str) -> Vec<(String, String)> {
        let stack = self.describe(name);
        let outputs = stack.member("Outputs").and_then(Json::as_array).unwrap_or_default().to_vec();
        outputs.iter().map(|out| (text(out, "OutputKey"), text(out, "OutputValue"))).collect()
    }
}

fn named(name: &str) -> Json {
    Json::object([("StackName", Json::from(name))])
}

fn wanted(name: &str, template: &str) -> Json {
    Json::object([("StackName", Json::from(name)), ("TemplateBody", template.into())])
}

/// Ten queues, each of which must wait for the one before.
fn chain(delay: u32) -> String {
    let mut template = "Resources:\n".to_owned();
    for number in 0..10 {
        let queue = format!(
            "  Q{number}:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: q{number}\n      \
             DelaySeconds: {delay}\n"
        );
        template.push_str(&queue);
        if number > 0 {
            template.push_str("    DependsOn: Q");
            template.push_str(&(number - 1).to_string());
            template.push('\n');
        }
    }
    template
}

const QUEUE: &str = "
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties: {QueueName: one, DelaySeconds: 1}
Outputs:
  Url: {Value: !Ref Q}
  Arn: {Value: !GetAtt Q.Arn, Export: {Name: the-queue}}
";

#[test]
fn a_stack_is_made_in_order_and_says_so() {
    let mut cloud = Cloud::new();
    assert_eq!(cloud.create("s", QUEUE), "CREATE_COMPLETE");
    assert_eq!(
        cloud.events("s"),
        [
            "s CREATE_IN_PROGRESS User Initiated",
            "Q CREATE_IN_PROGRESS",
            "Q CREATE_IN_PROGRESS Resource creation Initiated",
            "Q CREATE_COMPLETE",
            "s CREATE_COMPLETE",
        ]
    );
    assert_eq!(cloud.queues(), ["one"]);
    let arn = "arn:aws:sqs:us-east-1:000000000000:one";
    assert_eq!(cloud.outputs("s")[1], ("Arn".to_owned(), arn.to_owned()));
    let exports = cloud.done("ListExports", Json::object::<&str>([]));
    assert_eq!(text(&exports.member("Exports").unwrap().as_array().unwrap()[0], "Value"), arn);
    let error = cloud.call("CreateStack", wanted("s", QUEUE)).unwrap_err();
    assert_eq!(error.to_string(), "AlreadyExistsException: Stack [s] already exists");
}

#[test]
fn what_is_not_there_has_the_sentence_that_tools_look_for() {
    let mut cloud = Cloud::new();
    let error = cloud.call("DescribeStacks", named("x")).unwrap_err();
    assert_eq!(error.to_string(), "ValidationError: Stack with id x does not exist");
    cloud.done("DeleteStack", named("x"));
}

#[test]
fn each_resource_is_made_once_though_the_process_dies_after_every_commit() {
    for deaths in 1..14 {
        let mut cloud = Cloud::new();
        cloud.done("CreateStack", wanted("s", &chain(1)));
        let mut slices = 0;
        while cloud.slice() {
            slices += 1;
            if slices == deaths || deaths == 13 {
                cloud.0.kill();
                cloud.0.check();
            }
        }
        assert_eq!(cloud.status("s"), "CREATE_COMPLETE");
        let events = cloud.events("s");
        assert_eq!(events.len(), 2 + 3 * 10, "{events:?}");
        assert_eq!(cloud.queues().len(), 10);
        assert_eq!(cloud.resources("s").len(), 10);
    }
}

#[test]
fn a_death_while_a_stack_goes_leaves_nothing_behind() {
    let mut cloud = Cloud::new();
    cloud.create("s", &chain(1));
    cloud.done("DeleteStack", named("s"));
    while cloud.slice() {
        cloud.0.kill();
        cloud.0.check();
    }
    assert_eq!(cloud.queues(), Vec::<String>::new());
    let error = cloud.call("DescribeStacks", named("s")).unwrap_err();
    assert_eq!(error.to_string(), "ValidationError: Stack with id s does not exist");
    let listed = cloud.done("ListStacks", Json::object::<&str>([]));
    let listed = &listed.member("StackSummaries").unwrap().as_array().unwrap()[0];
    assert_eq!(text(listed, "StackStatus"), "DELETE_COMPLETE");
    let id = text(listed, "StackId");
    assert_eq!(cloud.status(&id), "DELETE_COMPLETE");
    let events = cloud.events(&id);
    let first =
        events.iter().find(|event| event.contains("DELETE_IN_PROGRESS") && event.starts_with('Q'));
    assert_eq!(first.unwrap(), "Q9 DELETE_IN_PROGRESS");
}

#[test]
fn what_fails_in_the_middle_takes_back_what_was_made() {
    let mut cloud = Cloud::new();
    let taken =
        "Resources: {T: {Type: 'AWS::SQS::Queue', Properties: {QueueName: q5, DelaySeconds: 7}}}";
    cloud.create("other", taken);
    assert_eq!(cloud.create("s", &chain(1)), "ROLLBACK_COMPLETE");
    let events = cloud.events("s");
    let failed = events.iter().find(|event| event.starts_with("Q5 CREATE_FAILED")).unwrap();
    assert!(failed.ends_with("with identifier 'q5' already exists."), "{failed}");
    assert!(events.contains(
        &"s ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Q5]. Rollback requested \
          by user."
            .to_owned()
    ));
    assert_eq!(cloud.queues(), ["q5"]);
    let error = cloud.call("UpdateStack", wanted("s", &chain(1))).unwrap_err();
    assert!(
        error.message.ends_with("is in ROLLBACK_COMPLETE state and can not be updated."),
        "{error}"
    );
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    assert!(cloud.call("DescribeStacks", named("s")).is_err());
    assert_eq!(cloud.queues(), ["q5"]);
}

#[test]
fn an_update_changes_in_place_replaces_and_removes() {
    let mut cloud = Cloud::new();
    let before = "
Resources:
  A: {Type: 'AWS::SQS::Queue', Properties: {QueueName: a, DelaySeconds: 1}}
  B: {Type: 'AWS::SQS::Queue', Properties: {QueueName: b}}
  C: {Type: 'AWS::SQS::Queue', Properties: {QueueName: c}}
";
    let after = "
Resources:
  A: {Type: 'AWS::SQS::Queue', Properties: {QueueName: a, DelaySeconds: 2}}
  B: {Type: 'AWS::SQS::Queue', Properties: {QueueName: b2}}
  D: {Type: 'AWS::SQS::Queue', Properties: {QueueName: d}}
";
    cloud.create("s", before);
    assert_eq!(cloud.update("s", after), "UPDATE_COMPLETE");
    assert_eq!(cloud.queues(), ["a", "b2", "d"]);
    let events = cloud.events("s");
    let at = |event: &str| {
        events.iter().position(|one| one == event).unwrap_or_else(|| panic!("{event}: {events:?}"))
    };
    assert!(at("B UPDATE_COMPLETE") < at("s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"));
    assert!(at("s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS") < at("B DELETE_COMPLETE"));
    assert!(at("C DELETE_COMPLETE") < at("s UPDATE_COMPLETE"));
    let error = cloud.call("UpdateStack", wanted("s", after)).unwrap_err();
    assert_eq!(error.to_string(), "ValidationError: No updates are to be performed.");
    let kept = cloud.resources("s");
    assert_eq!(kept.iter().map(|one| &*one.0).collect::<Vec<_>>(), ["A", "B", "D"]);
}

#[test]
fn a_failed_update_leaves_all_as_it_was() {
    let mut cloud = Cloud::new();
    cloud.create("other", "Resources: {T: {Type: 'AWS::SQS::Queue', Properties: {QueueName: taken, DelaySeconds: 7}}}");
    let before = "
Resources:
  A: {Type: 'AWS::SQS::Queue', Properties: {QueueName: a, DelaySeconds: 1}}
  B: {Type: 'AWS::SQS::Queue', Properties: {QueueName: b}}
";
    let after = "
Resources:
  A: {Type: 'AWS::SQS::Queue', Properties: {QueueName: a, DelaySeconds: 2}}
  B: {Type: 'AWS::SQS::Queue', Properties: {QueueName: b2}, DependsOn: A}
  C: {Type: 'AWS::SQS::Queue', Properties: {QueueName: c}, DependsOn: B}
  D: {Type: 'AWS::SQS::Queue', Properties: {QueueName: taken, DelaySeconds: 3}, DependsOn: C}
";
    cloud.create("s", before);
    cloud.done("UpdateStack", wanted("s", after));
    while cloud.slice() {
        cloud.0.kill();
        cloud.0.check();
    }
    assert_eq!(cloud.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(cloud.queues(), ["a", "b", "taken"]);
    let attributes = Json::object([
        ("QueueUrl", Json::from("http://localhost:4566/000000000000/a")),
        ("AttributeNames", Json::array(["DelaySeconds".into()])),
    ]);
    let attributes = cloud.service(Service::Sqs, "GetQueueAttributes", attributes).unwrap();
    assert_eq!(text(attributes.member("Attributes").unwrap(), "DelaySeconds"), "1");
    assert_eq!(cloud.resources("s").len(), 2, "{:?}", cloud.resources("s"));
    assert_eq!(cloud.update("s", QUEUE), "UPDATE_COMPLETE");
    assert_eq!(cloud.queues(), ["one", "taken"]);
}

#[test]
fn a_failed_update_that_is_not_undone_can_be_gone_on_with_or_taken_back() {
    let mut cloud = Cloud::new();
    cloud.create("other", "Resources: {T: {Type: 'AWS::SQS::Queue', Properties: {QueueName: taken, DelaySeconds: 7}}}");
    cloud.create("s", QUEUE);
    let bad = "
Resources:
  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: two}}
  T: {Type: 'AWS::SQS::Queue', Properties: {QueueName: taken, DelaySeconds: 3}, DependsOn: Q}
";
    let body = Json::object([
        ("StackName", Json::from("s")),
        ("TemplateBody", bad.into()),
        ("DisableRollback", true.into()),
    ]);
    cloud.done("UpdateStack", body);
    cloud.settle();
    assert_eq!(cloud.status("s"), "UPDATE_FAILED");
    assert_eq!(cloud.queues(), ["one", "taken", "two"]);
    cloud.0.kill();
    cloud.done("RollbackStack", named("s"));
    cloud.settle();
    assert_eq!(cloud.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(cloud.queues(), ["one", "taken"]);
}

#[test]
fn a_change_set_shows_what_it_does_and_does_it() {
    let mut cloud = Cloud::new();
    let set = |name: &str, kind: &str, template: &str| {
        Json::object([
            ("StackName", Json::from("s")),
            ("ChangeSetName", name.into()),
            ("ChangeSetType", kind.into()),
            ("TemplateBody", template.into()),
        ])
    };
    let of =
        |name: &str| Json::object([("StackName", Json::from("s")), ("ChangeSetName", name.into())]);
    let made = cloud.done("CreateChangeSet", set("first", "CREATE", QUEUE));
    assert_eq!(cloud.status("s"), "REVIEW_IN_PROGRESS");
    let by_id = Json::object([("ChangeSetName", made.member("Id").unwrap().clone())]);
    let shown = cloud.done("DescribeChangeSet", by_id);
    assert_eq!(text(&shown, "Status"), "CREATE_COMPLETE");
    assert_eq!(text(&shown, "ExecutionStatus"), "AVAILABLE");
    let change = shown.member("Changes").unwrap().as_array().unwrap()[0]
        .member("ResourceChange")
        .unwrap()
        .clone();
    assert_eq!(
        (text(&change, "Action"), text(&change, "ResourceType")),
        ("Add".into(), "AWS::SQS::Queue".into())
    );
    cloud.done("ExecuteChangeSet", of("first"));
    cloud.settle();
    assert_eq!(cloud.status("s"), "CREATE_COMPLETE");
    cloud.done("CreateChangeSet", set("same", "UPDATE", QUEUE));
    let shown = cloud.done("DescribeChangeSet", of("same"));
    assert_eq!(text(&shown, "Status"), "FAILED");
    assert!(
        text(&shown, "StatusReason").contains("The submitted information didn't contain changes.")
    );
    let error = cloud.call("ExecuteChangeSet", of("same")).unwrap_err();
    assert_eq!(error.code, "InvalidChangeSetStatus");
    cloud.done("DeleteChangeSet", of("same"));
    cloud.done("CreateChangeSet", set("other", "UPDATE", &QUEUE.replace("one", "two")));
    let shown = cloud.done("DescribeChangeSet", of("other"));
    let change = shown.member("Changes").unwrap().as_array().unwrap()[0]
        .member("ResourceChange")
        .unwrap()
        .clone();
    assert_eq!(text(&change, "Replacement"), "True");
    cloud.done("ExecuteChangeSet", of("other"));
    cloud.settle();
    assert_eq!(cloud.status("s"), "UPDATE_COMPLETE");
    assert_eq!(cloud.queues(), ["two"]);
    let error = cloud.call("DescribeChangeSet", of("gone")).unwrap_err();
    assert_eq!(error.to_string(), "ChangeSetNotFound: ChangeSet [gone] does not exist");
}

#[test]
fn a_type_that_is_not_there_is_refused_before_anything_is_made() {
    let mut cloud = Cloud::new();
    let template = "
Resources:
  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: one}}
  T:
    Type: AWS::Timestream::Table
    Properties: {DatabaseName: d}
";
    let body = Json::object([
        ("StackName", Json::from("s")),
        ("ChangeSetName", "c".into()),
        ("ChangeSetType", "CREATE".into()),
        ("TemplateBody", template.into()),
    ]);
    cloud.done("CreateChangeSet", body);
    let of = Json::object([("StackName", Json::from("s")), ("ChangeSetName", "c".into())]);
    let shown = cloud.done("DescribeChangeSet", of);
    assert_eq!(text(&shown, "Status"), "FAILED");
    let reason = text(&shown, "StatusReason");
    assert!(reason.contains("AWS::Timestream::Table") && reason.contains("line 4"), "{reason}");
    let tags = Json::array([Json::object([
        ("Key", Json::from("stepwire:allow-missing")),
        ("Value", "*".into()),
    ])]);
    let body = Json::object([
        ("StackName", Json::from("t")),
        ("TemplateBody", template.into()),
        ("Tags", tags),
    ]);
    cloud.done("CreateStack", body);
    cloud.settle();
    assert_eq!(cloud.status("t"), "CREATE_COMPLETE");
    let events = cloud.events("t");
    let told = "T CREATE_COMPLETE stepwire: AWS::Timestream::Table is not implemented; created as placeholder";
    assert!(events.contains(&told.to_owned()), "{events:?}");
}

#[test]
fn an_export_that_is_used_cannot_go() {
    let mut cloud = Cloud::new();
    cloud.create("s", QUEUE);
    let user = "
Resources:
  L: {Type: 'AWS::SQS::Queue', Properties: {QueueName: user}}
Outputs:
  There: {Value: !ImportValue the-queue}
";
    assert_eq!(cloud.create("user", user), "CREATE_COMPLETE");
    assert_eq!(cloud.outputs("user")[0].1, "arn:aws:sqs:us-east-1:000000000000:one");
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    // It stays as it was, and can be changed.
    assert_eq!(cloud.status("s"), "CREATE_COMPLETE");
    let reason = text(&cloud.describe("s"), "StackStatusReason");
    let why = "Export the-queue cannot be deleted as it is in use by user";
    assert_eq!(reason, format!("Delete canceled. {why}"));
    assert_eq!(
        cloud.update("s", &QUEUE.replace("DelaySeconds: 1", "DelaySeconds: 2")),
        "UPDATE_COMPLETE"
    );
    assert_eq!(cloud.queues(), ["one", "user"]);
    cloud.done("DeleteStack", named("user"));
    cloud.settle();
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    assert_eq!(cloud.queues(), Vec::<String>::new());
}

/// A stack within another, of `inner.yaml`.
const OUTER: &str = "
Resources:
  In:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://s3.amazonaws.com/templates/inner.yaml'}
";

/// With [`QUEUE`] as `inner.yaml`.
fn cloud_with_inner() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.0.bucket("templates");
    cloud.0.put("templates", "inner.yaml", QUEUE);
    cloud
}

#[test]
fn a_stack_within_whose_export_is_used_keeps_the_outer_one() {
    let mut cloud = cloud_with_inner();
    assert_eq!(cloud.create("s", OUTER), "CREATE_COMPLETE");
    let user = "
Resources:
  L: {Type: 'AWS::SQS::Queue', Properties: {QueueName: user}}
Outputs:
  There: {Value: !ImportValue the-queue}
";
    cloud.create("user", user);
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    assert_eq!(cloud.status("s"), "DELETE_FAILED");
    assert!(cloud.events("s").iter().any(
        |event| event.contains("In DELETE_FAILED Embedded stack")
            && event.ends_with(
                "Delete canceled. Export the-queue cannot be deleted as it is in use by user"
            )
    ));
}

#[test]
fn an_export_that_is_there_already_is_said_once_to_be_a_reason() {
    let mut cloud = Cloud::new();
    cloud.create("s", QUEUE);
    assert_eq!(cloud.create("t", &QUEUE.replace("one", "two")), "ROLLBACK_COMPLETE");
    let events = cloud.events("t");
    let told = "t ROLLBACK_IN_PROGRESS Export with name the-queue is already exported by stack s. \
                Rollback requested by user.";
    assert!(events.contains(&told.to_owned()), "{events:?}");
}

#[test]
fn a_resource_keeps_its_type() {
    let mut cloud = Cloud::new();
    cloud.create("s", QUEUE);
    let topic = "Resources: {Q: {Type: 'AWS::SNS::Topic'}, R: {Type: 'AWS::SQS::Queue'}}";
    let why = "Update of resource type is not permitted. The new template modifies resource type \
               of the following resources: [Q]";
    let error = cloud.call("UpdateStack", wanted("s", topic)).unwrap_err();
    assert_eq!(error.to_string(), format!("ValidationError: {why}"));
    let set = Json::object([
        ("StackName", Json::from("s")),
        ("ChangeSetName", "c".into()),
        ("TemplateBody", topic.into()),
    ]);
    let made = cloud.done("CreateChangeSet", set);
    let id = Json::object([("ChangeSetName", made.member("Id").unwrap().clone())]);
    let shown = cloud.done("DescribeChangeSet", id);
    assert_eq!(
        (text(&shown, "Status"), text(&shown, "StatusReason")),
        ("FAILED".into(), why.into())
    );
    assert_eq!(cloud.status("s"), "CREATE_COMPLETE");
}

#[test]
fn a_resource_with_a_name_of_its_own_is_not_replaced_under_it() {
    let mut cloud = Cloud::new();
    let table = table("", "");
    cloud.create("s", &table);
    let other = table.replace("AttributeName: p", "AttributeName: q");
    assert_eq!(cloud.update("s", &other), "UPDATE_ROLLBACK_COMPLETE");
    let events = cloud.events("s");
    let told = "T UPDATE_FAILED CloudFormation cannot update a stack when a custom-named resource \
                requires replacing. Rename tab and update the stack again.";
    assert!(events.contains(&told.to_owned()), "{events:?}");
    // What another has is there already.
    cloud.create("t", &table.replace("TableName: tab", "TableName: own"));
    assert_eq!(cloud.update("t", &table), "UPDATE_ROLLBACK_COMPLETE");
    let failed = cloud.events("t").into_iter().find(|event| event.starts_with("T UPDATE_FAILED"));
    assert!(failed.unwrap().ends_with("Table already exists: tab"));
}

/// A table with these global indexes and whatever else.
fn table(indexes: &str, more: &str) -> String {
    let attributes = if indexes.is_empty() { "" } else { ", {AttributeName: g, AttributeType: S}" };
    let indexes: String = indexes
        .split_whitespace()
        .map(|name| {
            format!(
                "\n      - {{IndexName: {name}, KeySchema: [{{AttributeName: g, KeyType: HASH}}], \
                 Projection: {{ProjectionType: ALL}}}}"
            )
        })
        .collect();
    let indexes = if indexes.is_empty() {
        indexes
    } else {
        format!("      GlobalSecondaryIndexes: {indexes}\n")
    };
    format!(
        "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: tab
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: p, AttributeType: S}}{attributes}]
      KeySchema: [{{AttributeName: p, KeyType: HASH}}]
{indexes}{more}"
    )
}

fn of_table() -> Json {
    Json::object([("TableName", Json::from("tab"))])
}

impl Cloud {
    /// The indexes of the table, each with its status.
    fn indexes(&mut self) -> Vec<String> {
        let described = self.service(Service::DynamoDb, "DescribeTable", of_table()).unwrap();
        let indexes = described.member("Table").unwrap().member("GlobalSecondaryIndexes");
        let indexes = indexes.and_then(Json::as_array).unwrap_or_default().to_vec();
        let of = |one: &Json| format!("{} {}", text(one, "IndexName"), text(one, "IndexStatus"));
        indexes.iter().map(of).collect()
    }

    /// More items than an index takes in at once.
    fn fill_table(&mut self) {
        for number in 0..600 {
            let item = format!(
                r#"{{"TableName":"tab","Item":{{"p":{{"S":"{number}"}},"g":{{"S":"x"}}}}}}"#
            );
            let item = Json::parse(&item).unwrap();
            self.service(Service::DynamoDb, "PutItem", item).unwrap();
        }
    }

    /// What is due, as long as the stack is being worked on; how often that was.
    fn work(&mut self, name: &str, each: fn(&mut Cloud)) -> usize {
        for turns in 0..1_000 {
            if !self.status(name).ends_with("_IN_PROGRESS") {
                return turns;
            }
            if !self.slice() {
                assert!(self.0.advance(), "nobody works on it");
            }
            each(self);
        }
        panic!("it does not come to an end");
    }
}

#[test]
fn an_update_that_makes_an_index_ends_when_that_knows_all_items() {
    for each in [
        |_: &mut Cloud| {},
        |cloud: &mut Cloud| {
            cloud.0.kill();
            cloud.0.check();
        },
    ] {
        let mut cloud = Cloud::new();
        cloud.create("s", &table("", ""));
        cloud.fill_table();
        cloud.done("UpdateStack", wanted("s", &table("abc", "")));
        cloud.settle();
        assert_eq!(cloud.status("s"), "UPDATE_IN_PROGRESS");
        assert_eq!(cloud.indexes(), ["abc CREATING"]);
        assert_eq!(cloud.resources("s")[0].1, "UPDATE_IN_PROGRESS");
        assert!(cloud.work("s", each) > 2);
        assert_eq!(cloud.status("s"), "UPDATE_COMPLETE");
        assert_eq!(cloud.indexes(), ["abc ACTIVE"]);
        let completed = |event: &&String| *event == "T UPDATE_COMPLETE";
        assert_eq!(cloud.events("s").iter().filter(completed).count(), 1);
        // One that goes is gone at once; when that is undone it is made again.
        let taken = "  Z: {Type: 'AWS::DynamoDB::Table', DependsOn: T, Properties: {TableName: tab, \
                     KeySchema: [{AttributeName: p, KeyType: HASH}], BillingMode: PAY_PER_REQUEST, \
                     AttributeDefinitions: [{AttributeName: p, AttributeType: S}]}}\n";
        cloud.done("UpdateStack", wanted("s", &table("", taken)));
        cloud.work("s", each);
        assert_eq!(cloud.status("s"), "UPDATE_ROLLBACK_COMPLETE");
        assert_eq!(cloud.indexes(), ["abc ACTIVE"]);
    }
}

#[test]
fn an_index_whose_update_is_cancelled_goes_again() {
    let mut cloud = Cloud::new();
    cloud.create("s", &table("", ""));
    cloud.fill_table();
    cloud.done("UpdateStack", wanted("s", &table("abc", "")));
    cloud.settle();
    assert_eq!(cloud.indexes(), ["abc CREATING"]);
    cloud.done("CancelUpdateStack", named("s"));
    cloud.settle();
    assert_eq!(cloud.status("s"), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(cloud.indexes(), Vec::<String>::new());
}

#[test]
fn an_update_makes_or_removes_one_index() {
    for (before, after) in [("", "abc abd"), ("abc", "abd"), ("abc abd", "")] {
        let mut cloud = Cloud::new();
        cloud.create("s", &table(before, ""));
        let there = cloud.indexes();
        assert_eq!(cloud.update("s", &table(after, "")), "UPDATE_ROLLBACK_COMPLETE");
        let events = cloud.events("s");
        let told = "T UPDATE_FAILED Cannot perform more than one GSI creation or deletion in a \
                    single update";
        assert!(events.contains(&told.to_owned()), "{events:?}");
        assert_eq!(cloud.indexes(), there);
        assert_eq!(cloud.resources("s")[0].1, "UPDATE_COMPLETE");
        let one = if before == "abc" { "" } else { "abc" };
        cloud.done("UpdateStack", wanted("s", &table(one, "")));
        cloud.work("s", |_| {});
        assert_eq!(cloud.status("s"), "UPDATE_COMPLETE");
    }
}

#[test]
fn a_resource_that_could_not_be_changed_is_as_it_was() {
    let mut cloud = Cloud::new();
    cloud.create("s", &table("", ""));
    let body = Json::object([
        ("StackName", Json::from("s")),
        ("TemplateBody", table("abc abd", "").into()),
        ("DisableRollback", true.into()),
    ]);
    cloud.done("UpdateStack", body);
    cloud.settle();
    assert_eq!(cloud.status("s"), "UPDATE_FAILED");
    assert_eq!(cloud.update("s", &table("", "")), "UPDATE_COMPLETE");
    assert_eq!(cloud.resources("s")[0].1, "UPDATE_COMPLETE");
    assert_eq!(cloud.indexes(), Vec::<String>::new());
}

#[test]
fn an_index_that_was_never_made_is_undone() {
    let mut cloud = Cloud::new();
    cloud.create("s", &table("", ""));
    // The table takes its throughput, and then an index without one is refused.
    let units = "BillingMode: PROVISIONED\n      ProvisionedThroughput: {ReadCapacityUnits: 1, \
                 WriteCapacityUnits: 1}";
    let after = table("abc", "").replace("BillingMode: PAY_PER_REQUEST", units);
    assert_eq!(cloud.update("s", &after), "UPDATE_ROLLBACK_COMPLETE", "{:?}", cloud.events("s"));
    assert_eq!(cloud.indexes(), Vec::<String>::new());
    cloud.done("UpdateStack", wanted("s", &table("abc", "")));
    cloud.work("s", |_| {});
    assert_eq!(cloud.status("s"), "UPDATE_COMPLETE");
}

#[test]
fn what_is_to_stay_stays() {
    let mut cloud = Cloud::new();
    let template = "
Resources:
  A: {Type: 'AWS::SQS::Queue', DeletionPolicy: Retain, Properties: {QueueName: a}}
  B: {Type: 'AWS::SQS::Queue', Properties: {QueueName: b}}
";
    cloud.create("s", template);
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    assert_eq!(cloud.queues(), ["a"]);
}

#[test]
fn a_protected_stack_stays() {
    let mut cloud = Cloud::new();
    cloud.create("s", QUEUE);
    let protect = |on: bool| {
        Json::object([("StackName", Json::from("s")), ("EnableTerminationProtection", on.into())])
    };
    cloud.done("UpdateTerminationProtection", protect(true));
    let error = cloud.call("DeleteStack", named("s")).unwrap_err();
    assert_eq!(error.message, "Stack [s] cannot be deleted while TerminationProtection is enabled");
    cloud.done("UpdateTerminationProtection", protect(false));
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    assert!(cloud.queues().is_empty());
}

#[test]
fn a_stack_in_a_stack_is_made_changed_and_removed_with_it() {
    let mut cloud = Cloud::new();
    cloud.0.bucket("templates");
    let inner = "
Parameters: {Name: {Type: String}}
Resources:
  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Ref Name}}
Outputs:
  Arn: {Value: !GetAtt Q.Arn}
";
    cloud.0.put("templates", "inner.yaml", inner);
    let outer = |name: &str| {
        format!(
            "
Resources:
  In:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/templates/inner.yaml
      Parameters: {{Name: {name}}}
Outputs:
  Arn: {{Value: !GetAtt In.Outputs.Arn}}
"
        )
    };
    cloud.done("CreateStack", wanted("s", &outer("first")));
    while cloud.slice() {
        cloud.0.kill();
        cloud.0.check();
    }
    assert_eq!(cloud.status("s"), "CREATE_COMPLETE", "{:?}", cloud.events("s"));
    assert_eq!(cloud.outputs("s")[0].1, "arn:aws:sqs:us-east-1:000000000000:first");
    assert_eq!(cloud.update("s", &outer("second")), "UPDATE_COMPLETE");
    assert_eq!(cloud.queues(), ["second"]);
    assert_eq!(cloud.outputs("s")[0].1, "arn:aws:sqs:us-east-1:000000000000:second");
    cloud.done("DeleteStack", named("s"));
    cloud.settle();
    assert!(cloud.queues().is_empty());
    assert_eq!(cloud.update_of_nobody(), None);
}

#[test]
fn tags_of_a_stack_reach_what_is_in_the_stacks_within() {
    let mut cloud = cloud_with_inner();
    let tagged = |value: &str| {
        let tag = Json::object([("Key", Json::from("team")), ("Value", value.into())]);
        Json::object([
            ("StackName", Json::from("s")),
            ("TemplateBody", OUTER.into()),
            ("Tags", Json::array([tag])),
        ])
    };
    let team = |cloud: &mut Cloud| {
        let url = Json::from("http://localhost:4566/000000000000/one");
        let queue = Json::object([("QueueUrl", url)]);
        let tags = cloud.service(Service::Sqs, "ListQueueTags", queue).unwrap();
        text(tags.member("Tags").unwrap(), "team")
    };
    cloud.done("CreateStack", tagged("plant"));
    cloud.settle();
    assert_eq!(team(&mut cloud), "plant");
    cloud.done("UpdateStack", tagged("field"));
    cloud.settle();
    assert_eq!(cloud.status("s"), "UPDATE_COMPLETE");
    assert_eq!(team(&mut cloud), "field");
}

impl Cloud {
    /// A stack that somebody would still work on.
    fn update_of_nobody(&self) -> Option<StackKey> {
        self.0.effects.iter().find_map(|effect| match effect {
            Effect::ContinueStack { stack } => Some(stack.clone()),
            _ => None,
        })
    }
}
