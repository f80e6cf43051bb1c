//! What buckets do by themselves: telling of their objects, and removing those that are old, against
//! a kernel and a disk that outlives it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::{Node, text};
use stepwire_asl::Json;
use stepwire_core::{ApiError, Input, Request, Service};

const DAY_MS: i64 = 86_400_000;

fn call(node: &mut Node, service: Service, operation: &str, body: &str) -> Result<Json, ApiError> {
    let body = Json::parse(&body.replace('\'', "\"")).unwrap();
    let request = Request::parse(service, operation, &body);
    let request = request.unwrap_or_else(|| panic!("{operation} is not served"))?;
    if request.is_read() {
        return request.answer(&node.disk, &node.settings);
    }
    let answer = node.change(request);
    node.check();
    answer
}

fn s3(node: &mut Node, operation: &str, body: &str) -> Json {
    call(node, Service::S3, operation, body).unwrap_or_else(|error| panic!("{operation}: {error}"))
}

/// So many days go by, and what is due by then is done.
fn days(node: &mut Node, days: i64) {
    let until = node.now.plus_ms(days * DAY_MS);
    while let Some(due) = node.kernel.due().filter(|due| *due <= until) {
        node.now = node.now.max(due);
        node.input(Input::Tick);
    }
    node.now = until;
    node.check();
}

fn keys(node: &mut Node) -> Vec<String> {
    let listed = s3(node, "ListObjectsV2", "{'Bucket':'bucket'}");
    let contents = listed.member("Contents").and_then(Json::as_array).unwrap_or_default().to_vec();
    contents.iter().map(|one| text(one, "Key")).collect()
}

fn versions(node: &mut Node, list: &str) -> usize {
    let listed = s3(node, "ListObjectVersions", "{'Bucket':'bucket'}");
    listed.member(list).and_then(Json::as_array).unwrap_or_default().len()
}

fn lifecycle(node: &mut Node, rule: &str) {
    let body = format!(
        "{{'Bucket':'bucket','LifecycleConfiguration':{{'Rules':[{{'Status':'Enabled',{rule}}}]}}}}"
    );
    s3(node, "PutBucketLifecycleConfiguration", &body);
}

#[test]
fn objects_go_when_they_are_old_enough_and_others_stay() {
    let mut node = Node::new();
    node.bucket("bucket");
    lifecycle(&mut node, "'Filter':{'Prefix':'old/'},'Expiration':{'Days':3}");
    for n in 0..200 {
        node.put("bucket", &format!("old/{n:03}"), "x");
    }
    node.put("bucket", "other", "x");
    days(&mut node, 3);
    assert_eq!(keys(&mut node).len(), 201);
    node.put("bucket", "old/new", "x");
    days(&mut node, 1);
    assert_eq!(keys(&mut node), ["old/new", "other"]);
}

#[test]
fn a_kill_between_two_slices_loses_nothing() {
    let mut node = Node::new();
    node.bucket("bucket");
    (0..300).for_each(|n| node.put("bucket", &format!("{n:03}"), "x"));
    node.now = node.now.plus_ms(10 * DAY_MS);
    lifecycle(&mut node, "'Filter':{},'Expiration':{'Days':1}");
    node.input(Input::Tick);
    let left = keys(&mut node).len();
    assert!(0 < left && left < 300, "a slice is gone, {left} are left");
    node.kill();
    node.check();
    days(&mut node, 0);
    assert_eq!(keys(&mut node).len(), 0);
}

#[test]
fn a_lifecycle_that_replaces_another_while_that_is_gone_through_is_looked_at_from_the_start() {
    for ticks in 0..4 {
        let mut node = Node::new();
        node.bucket("bucket");
        lifecycle(&mut node, "'Filter':{},'Expiration':{'Days':3}");
        node.put("bucket", "a", "x");
        (0..ticks).for_each(|_| node.input(Input::Tick));
        lifecycle(&mut node, "'Filter':{},'Expiration':{'Date':'1970-01-01T00:00:00Z'}");
        days(&mut node, 0);
        assert_eq!(keys(&mut node).len(), 0, "after {ticks} ticks");
    }
}

#[test]
fn a_lifecycle_that_is_set_later_or_off_is_looked_at_as_it_is() {
    let mut node = Node::new();
    node.bucket("bucket");
    node.put("bucket", "a", "x");
    days(&mut node, 30);
    let off = "{'Bucket':'bucket','LifecycleConfiguration':{'Rules':[{'Status':'Disabled','Filter':{},\
               'Expiration':{'Days':1}}]}}";
    s3(&mut node, "PutBucketLifecycleConfiguration", off);
    days(&mut node, 1);
    assert_eq!(keys(&mut node), ["a"]);
    lifecycle(&mut node, "'Filter':{'ObjectSizeGreaterThan':5},'Expiration':{'Days':1}");
    days(&mut node, 1);
    assert_eq!(keys(&mut node), ["a"]);
    lifecycle(&mut node, "'Filter':{'ObjectSizeLessThan':5},'Expiration':{'Days':1}");
    days(&mut node, 0);
    assert_eq!(keys(&mut node).len(), 0);
    s3(&mut node, "DeleteBucketLifecycle", "{'Bucket':'bucket'}");
    s3(&mut node, "DeleteBucket", "{'Bucket':'bucket'}");
    assert!(node.kernel.due().is_none_or(|due| due.since_ms(node.now) > DAY_MS));
}

#[test]
fn versions_go_after_they_are_no_longer_current_and_markers_when_nothing_is_below() {
    let mut node = Node::new();
    node.bucket("bucket");
    let on = "{'Bucket':'bucket','VersioningConfiguration':{'Status':'Enabled'}}";
    s3(&mut node, "PutBucketVersioning", on);
    (0..5).for_each(|n| node.put("bucket", "a", format!("{n}")));
    lifecycle(
        &mut node,
        "'Filter':{},'Expiration':{'Days':10},'NoncurrentVersionExpiration':{'NoncurrentDays':2,\
         'NewerNoncurrentVersions':1}",
    );
    days(&mut node, 3);
    // The current one, and the newest of the others.
    assert_eq!(versions(&mut node, "Versions"), 2);
    days(&mut node, 11);
    assert_eq!(keys(&mut node).len(), 0);
    assert_eq!(versions(&mut node, "DeleteMarkers"), 1);
    assert_eq!(versions(&mut node, "Versions"), 1);
    lifecycle(
        &mut node,
        "'Filter':{},'Expiration':{'ExpiredObjectDeleteMarker':true},\
         'NoncurrentVersionExpiration':{'NoncurrentDays':2}",
    );
    days(&mut node, 4);
    assert_eq!(versions(&mut node, "Versions") + versions(&mut node, "DeleteMarkers"), 0);
}

#[test]
fn uploads_that_nobody_completes_are_given_up() {
    let mut node = Node::new();
    node.bucket("bucket");
    let begun = s3(&mut node, "CreateMultipartUpload", "{'Bucket':'bucket','Key':'in/a'}");
    s3(&mut node, "CreateMultipartUpload", "{'Bucket':'bucket','Key':'other'}");
    let part = format!(
        "{{'Bucket':'bucket','Key':'in/a','PartNumber':1,'UploadId':'{}'}}",
        text(&begun, "UploadId")
    );
    s3(&mut node, "UploadPart", &part);
    lifecycle(
        &mut node,
        "'Filter':{'Prefix':'in/'},'AbortIncompleteMultipartUpload':{'DaysAfterInitiation':1}",
    );
    let uploads = |node: &mut Node| {
        let listed = s3(node, "ListMultipartUploads", "{'Bucket':'bucket'}");
        listed.member("Uploads").and_then(Json::as_array).unwrap_or_default().len()
    };
    days(&mut node, 1);
    assert_eq!(uploads(&mut node), 2);
    days(&mut node, 1);
    assert_eq!(uploads(&mut node), 1);
}

#[test]
fn what_a_bucket_tells_is_stored_with_the_object() {
    let mut node = Node::new();
    node.bucket("bucket");
    call(&mut node, Service::Sqs, "CreateQueue", "{'QueueName':'q'}").unwrap();
    let told = "{'Bucket':'bucket','NotificationConfiguration':{'QueueConfigurations':[{'QueueArn':\
                'arn:aws:sqs:us-east-1:000000000000:q','Events':['s3:ObjectCreated:*',\
                's3:LifecycleExpiration:*']}]}}";
    s3(&mut node, "PutBucketNotificationConfiguration", told);
    lifecycle(&mut node, "'Filter':{},'Expiration':{'Days':1}");
    node.put("bucket", "a b", "hello");
    // It is there after a kill, though nobody has asked for it yet.
    node.kill();
    let mut seen = Vec::new();
    let mut receive = |node: &mut Node| {
        let url = format!("{}/{}/q", node.settings.url, node.settings.account);
        let body = format!("{{'QueueUrl':'{url}','MaxNumberOfMessages':10}}");
        let answer = call(node, Service::Sqs, "ReceiveMessage", &body).unwrap();
        let messages = answer.member("Messages").and_then(Json::as_array).unwrap_or_default();
        for message in messages {
            let body = Json::parse(&text(message, "Body")).unwrap();
            let records = body.member("Records").and_then(Json::as_array).unwrap_or_default();
            seen.extend(records.iter().map(|record| {
                let object = record.member("s3").unwrap().member("object").unwrap();
                format!("{} {}", text(record, "eventName"), text(object, "key"))
            }));
        }
    };
    receive(&mut node);
    days(&mut node, 2);
    receive(&mut node);
    assert!(seen.contains(&"ObjectCreated:Put a+b".to_owned()), "{seen:?}");
    assert!(seen.contains(&"LifecycleExpiration:Delete a+b".to_owned()), "{seen:?}");
}
