//! `AWS::Scheduler::*`.

use super::property::{Property, integer, object, tags, text};
use super::resource::{Resource, ask, look, made, s};
use super::{Ask, Kind};
use crate::request::Service::Scheduler;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

pub(super) const KINDS: &[Kind] = &[SCHEDULE, GROUP];

/// Members of a schedule that the API calls the same.
const SAME: [&str; 9] = [
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
];

fn put(operation: &'static str, schedule: &Resource<'_>, name: &str) -> Ask {
    let mut asked = ask(Scheduler, operation, [("Name", s(name))]);
    let mut members = asked.body.as_object().cloned().unwrap_or_default();
    members.extend(SAME.iter().filter_map(|same| Some(((*same).into(), schedule.take(same)?))));
    asked.body = stepwire_asl::Json::Object(members.into());
    asked
}

fn group<'a>(schedule: &'a Resource<'_>) -> &'a str {
    schedule.text("GroupName").unwrap_or("default")
}

const SCHEDULE: Kind = Kind {
    attributes: &["Arn"],
    create: |schedule, _| Ok(vec![put("CreateSchedule", schedule, &schedule.name_or("Name", 64))]),
    look: |schedule| {
        let name = schedule.text("Name")?;
        let asked = [("Name", s(name)), ("GroupName", schedule.take("GroupName"))];
        Some(look(ask(Scheduler, "GetSchedule", asked).or(GONE), name))
    },
    made: |schedule, _| {
        let name = schedule.name_or("Name", 64);
        let arn = schedule.arn("scheduler", &format!("schedule/{}/{name}", group(schedule)));
        made(name, [("Arn", arn)])
    },
    update: |update, _| Ok(vec![put("UpdateSchedule", &update.new, &update.made.physical_id)]),
    delete: |schedule, made, _| {
        let asked = [("Name", made.id()), ("GroupName", schedule.take("GroupName"))];
        vec![ask(Scheduler, "DeleteSchedule", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Scheduler::Schedule",
        &[
            text("Name").replaces(),
            text("GroupName").replaces(),
            text("ScheduleExpression").required(),
            text("ScheduleExpressionTimezone"),
            text("StartDate"),
            text("EndDate"),
            text("Description"),
            text("State"),
            text("KmsKeyArn").without_effect("schedules are not encrypted"),
            object(
                "FlexibleTimeWindow",
                &[text("Mode").required(), integer("MaximumWindowInMinutes")],
            )
            .required(),
            object("Target", TARGET).required(),
        ],
    )
};

const ELSEWHERE: &str = "target a function, a state machine, a queue, a topic or an event bus";

const TARGET: &[Property] = &[
    text("Arn").required(),
    text("RoleArn").required(),
    text("Input"),
    object("DeadLetterConfig", &[text("Arn")]),
    object("RetryPolicy", &[integer("MaximumEventAgeInSeconds"), integer("MaximumRetryAttempts")]),
    object("SqsParameters", &[text("MessageGroupId")]),
    object("EventBridgeParameters", &[text("DetailType").required(), text("Source").required()]),
    object("EcsParameters", &[]).refused(ELSEWHERE),
    object("KinesisParameters", &[]).refused(ELSEWHERE),
    object("SageMakerPipelineParameters", &[]).refused(ELSEWHERE),
];

const GROUP: Kind = Kind {
    attributes: &["Arn", "State"],
    create: |group, _| {
        let tags = group.tag_list("Key", "Value");
        let asked = [("Name", s(group.name_or("Name", 64))), ("Tags", tags)];
        Ok(vec![ask(Scheduler, "CreateScheduleGroup", asked)])
    },
    made: |group, _| {
        let name = group.name_or("Name", 64);
        let arn = group.arn("scheduler", &format!("schedule-group/{name}"));
        made(name, [("Arn", arn), ("State", "ACTIVE".to_owned())])
    },
    update: |update, _| {
        let tags = update.retagged();
        let arn = || s(update.made.attribute("Arn"));
        let mut asks = Vec::new();
        if !tags.gone.is_empty() {
            let asked = [("ResourceArn", arn()), ("TagKeys", tags.keys())];
            asks.push(ask(Scheduler, "UntagResource", asked));
        }
        if !tags.set.is_empty() {
            let set = super::resource::listed(tags.set, "Key", "Value");
            asks.push(ask(Scheduler, "TagResource", [("ResourceArn", arn()), ("Tags", Some(set))]));
        }
        Ok(asks)
    },
    delete: |_, made, _| {
        vec![ask(Scheduler, "DeleteScheduleGroup", [("Name", made.id())]).or(GONE)]
    },
    ..Kind::new("AWS::Scheduler::ScheduleGroup", &[text("Name").replaces(), tags()])
};
