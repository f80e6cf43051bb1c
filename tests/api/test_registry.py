"""AWS IoT registry: things in full, thing types, thing groups, registry events, tags."""

import json
import re
import time

import pytest
from support import ACCOUNT, REGION, ROLE, UUID, ended, machine, plain, refused, single
from test_identity import Authority

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}"
FAMILIES = [
    "THING",
    "THING_GROUP",
    "THING_TYPE",
    "THING_GROUP_MEMBERSHIP",
    "THING_GROUP_HIERARCHY",
    "THING_TYPE_ASSOCIATION",
]


POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}],
    }
)


def names(items, member="groupName"):
    return [item[member] for item in items]


def group(node, name, parent=None, **more):
    parent = {"parentGroupName": parent} if parent else {}
    return node.iot().create_thing_group(thingGroupName=name, **parent, **more)


# ---- thing types ---------------------------------------------------------------------------------


def test_a_thing_type_is_described_and_listed(node, name):
    iot = node.iot()
    properties = {"thingTypeDescription": "a lamp", "searchableAttributes": ["model", "watt"]}
    created = plain(iot.create_thing_type(thingTypeName=name, thingTypeProperties=properties))
    assert created["thingTypeArn"] == f"{IOT}:thingtype/{name}"
    assert re.fullmatch(UUID, created["thingTypeId"])
    described = plain(iot.describe_thing_type(thingTypeName=name))
    metadata = described["thingTypeMetadata"]
    assert described == {
        **created,
        "thingTypeProperties": properties,
        "thingTypeMetadata": {"deprecated": False, "creationDate": metadata["creationDate"]},
    }
    listed = iot.list_thing_types(thingTypeName=name)["thingTypes"]
    del described["thingTypeId"]
    assert listed == [described]
    assert name in names(iot.list_thing_types(maxResults=250)["thingTypes"], "thingTypeName")


def test_a_type_is_deprecated_and_deleted_after_five_minutes_only(node, name):
    iot = node.iot()
    iot.create_thing_type(thingTypeName=name)
    with refused("InvalidRequestException", 400, "deprecated"):
        iot.delete_thing_type(thingTypeName=name)
    iot.deprecate_thing_type(thingTypeName=name)
    assert iot.describe_thing_type(thingTypeName=name)["thingTypeMetadata"]["deprecationDate"]
    with refused("InvalidRequestException", 400, f"Can not create new thing.*{name}"):
        iot.create_thing(thingName=name, thingTypeName=name)
    with refused("InvalidRequestException", 400, "wait for 5 minutes after deprecation"):
        iot.delete_thing_type(thingTypeName=name)
    iot.deprecate_thing_type(thingTypeName=name, undoDeprecate=True)
    iot.create_thing(thingName=name, thingTypeName=name)
    with refused("ResourceNotFoundException", 404, "nope"):
        iot.describe_thing_type(thingTypeName="nope")


def test_a_thing_has_a_type_and_as_many_attributes_as_that_allows(node, name):
    iot = node.iot()
    iot.create_thing_type(thingTypeName=name)
    many = {"attributes": {f"a{number}": "v" for number in range(50)}}
    with refused("InvalidRequestException", 400, "at most 3"):
        iot.create_thing(thingName=name, attributePayload=many)
    iot.create_thing(thingName=name, thingTypeName=name, attributePayload=many)
    described = iot.describe_thing(thingName=name)
    assert (described["thingTypeName"], described["attributes"]) == (name, many["attributes"])
    assert names(iot.list_things(thingTypeName=name)["things"], "thingName") == [name]
    few = {"attributes": {"site": "north"}}
    iot.update_thing(thingName=name, removeThingType=True, attributePayload=few)
    described = iot.describe_thing(thingName=name)
    assert "thingTypeName" not in described
    assert (described["attributes"], described["version"]) == (few["attributes"], 2)
    assert iot.list_things(thingTypeName=name)["things"] == []
    with refused("ResourceAlreadyExistsException", 409, "different"):
        iot.create_thing(thingName=name, thingTypeName=name)


@pytest.mark.parametrize(
    "operation, members, parameter",
    [
        ("create_thing", {"billingGroupName": "b"}, "billingGroupName"),
        (
            "create_thing_type",
            {"thingTypeName": "x", "thingTypeProperties": {"mqtt5Configuration": {}}},
            "mqtt5Configuration",
        ),
    ],
)
def test_what_is_not_available_is_refused_by_name(node, name, operation, members, parameter):
    if "thing_type" not in operation:
        members = {"thingName": name, **members}
    with refused("InvalidRequestException", 400, f"`{parameter}` is not supported"):
        getattr(node.iot(), operation)(**members)


@pytest.mark.parametrize(
    "operation, members",
    [
        ("create_billing_group", {"billingGroupName": "b"}),
        ("list_billing_groups", {}),
        ("list_things_in_billing_group", {"billingGroupName": "b"}),
        ("add_thing_to_billing_group", {"billingGroupName": "b", "thingName": "t"}),
        ("register_thing", {"templateBody": "{}"}),
        ("list_thing_registration_tasks", {}),
    ],
)
def test_operations_that_are_not_available_are_named(node, operation, members):
    name = "".join(word.capitalize() for word in operation.split("_"))
    with refused("UnknownOperationException", 400, name):
        getattr(node.iot(), operation)(**members)


# ---- thing groups --------------------------------------------------------------------------------


def test_a_group_is_described_with_the_way_from_the_root(node, name):
    top, middle, low = (f"{name}-{level}" for level in ("top", "middle", "low"))
    group(node, top)
    group(node, middle, top)
    properties = {
        "thingGroupDescription": "the lowest",
        "attributePayload": {"attributes": {"a": "1"}},
    }
    created = plain(group(node, low, middle, thingGroupProperties=properties))
    assert created["thingGroupArn"] == f"{IOT}:thinggroup/{low}"
    described = plain(node.iot().describe_thing_group(thingGroupName=low))
    assert described == {
        **created,
        "version": 1,
        "thingGroupProperties": properties,
        "thingGroupMetadata": {
            "parentGroupName": middle,
            "rootToParentThingGroups": [
                {"groupName": top, "groupArn": f"{IOT}:thinggroup/{top}"},
                {"groupName": middle, "groupArn": f"{IOT}:thinggroup/{middle}"},
            ],
            "creationDate": described["thingGroupMetadata"]["creationDate"],
        },
    }
    assert plain(group(node, low, middle, thingGroupProperties=properties)) == created
    with refused("ResourceAlreadyExistsException", 409, "with different properties"):
        group(node, low, middle)


def test_a_group_is_updated_by_version_and_deleted_without_children(node, name):
    iot = node.iot()
    group(node, name)
    group(node, f"{name}-child", name)
    update = {
        "thingGroupName": name,
        "thingGroupProperties": {"attributePayload": {"attributes": {"a": "1"}}},
        "expectedVersion": 1,
    }
    assert iot.update_thing_group(**update)["version"] == 2
    with refused("VersionConflictException", 409, "version 1"):
        iot.update_thing_group(**update)
    with refused("InvalidRequestException", 400, "still child groups attached"):
        iot.delete_thing_group(thingGroupName=name)
    iot.delete_thing_group(thingGroupName=f"{name}-child")
    with refused("VersionConflictException", 409, "version 1"):
        iot.delete_thing_group(thingGroupName=name, expectedVersion=1)
    iot.delete_thing_group(thingGroupName=name, expectedVersion=2)
    with refused("ResourceNotFoundException", 404, name):
        iot.describe_thing_group(thingGroupName=name)


def test_groups_are_listed_by_prefix_and_parent(node, name):
    iot = node.iot()
    top, left, right, low = (f"{name}-{part}" for part in ("a", "b", "c", "d"))
    for child, parent in ((top, None), (left, top), (right, top), (low, left)):
        group(node, child, parent)

    def listed(**members):
        pages = iot.get_paginator("list_thing_groups").paginate(
            **members, PaginationConfig={"PageSize": 1}
        )
        return [one for page in pages for one in names(page["thingGroups"])]

    assert listed(namePrefixFilter=f"{name}-") == [top, left, right, low]
    assert listed(parentGroup=top) == [left, low, right]
    assert listed(parentGroup=top, recursive=False) == [left, right]
    assert listed(namePrefixFilter=f"{name}-", recursive=False) == [top]
    with refused("ResourceNotFoundException", 404, "nope"):
        listed(parentGroup="nope")


def test_things_join_and_leave_groups(node, name):
    iot = node.iot()
    top, low, other = f"{name}-top", f"{name}-low", f"{name}-other"
    group(node, top)
    group(node, low, top)
    group(node, other)
    iot.create_thing(thingName=name)
    iot.add_thing_to_thing_group(thingName=name, thingGroupName=low)
    arns = {"thingArn": f"{IOT}:thing/{name}", "thingGroupArn": f"{IOT}:thinggroup/{other}"}
    iot.add_thing_to_thing_group(**arns)
    of_thing = iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]
    assert names(of_thing) == [low, other, top]
    assert iot.list_things_in_thing_group(thingGroupName=top)["things"] == []
    below = iot.list_things_in_thing_group(thingGroupName=top, recursive=True)
    assert below["things"] == [name]
    with refused("InvalidRequestException", 400, "of one hierarchy"):
        iot.add_thing_to_thing_group(thingName=name, thingGroupName=top)
    iot.update_thing_groups_for_thing(
        thingName=name, thingGroupsToAdd=[top], thingGroupsToRemove=[low, other]
    )
    assert names(iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]) == [top]
    iot.remove_thing_from_thing_group(thingName=name, thingGroupName=top)
    assert iot.list_thing_groups_for_thing(thingName=name)["thingGroups"] == []
    with refused("ResourceNotFoundException", 404, "nope"):
        iot.add_thing_to_thing_group(thingName=name, thingGroupName="nope")


def test_groups_members_and_settings_survive_a_kill(own_node):
    iot = own_node.iot()
    iot.create_thing_type(thingTypeName="lamp")
    iot.create_thing(thingName="t", thingTypeName="lamp")
    group(own_node, "p")
    group(own_node, "g", "p", tags=[{"Key": "k", "Value": "v"}])
    iot.add_thing_to_thing_group(thingName="t", thingGroupName="g")
    iot.update_event_configurations(eventConfigurations={"THING": {"Enabled": True}})
    own_node.restart()
    iot = own_node.iot()
    assert iot.list_things_in_thing_group(thingGroupName="p", recursive=True)["things"] == ["t"]
    assert names(iot.list_things(thingTypeName="lamp")["things"], "thingName") == ["t"]
    assert iot.list_tags_for_resource(resourceArn=f"{IOT}:thinggroup/g")["tags"]
    with refused("InvalidRequestException", 400, "Cannot delete thing group"):
        iot.delete_thing_group(thingGroupName="p")
    configurations = iot.describe_event_configurations()["eventConfigurations"]
    assert configurations["THING"] == {"Enabled": True}


def test_the_aws_cli_makes_groups_and_types(aws, name):
    def run(*words):
        status, out, errors = aws("iot", *words)
        assert status == 0, errors
        return json.loads(out) if out else None

    run("create-thing-type", "--thing-type-name", name)
    run("create-thing", "--thing-name", name, "--thing-type-name", name)
    run("create-thing-group", "--thing-group-name", name)
    both = ("--thing-name", name, "--thing-group-name", name)
    run("add-thing-to-thing-group", *both)
    things = run("list-things-in-thing-group", "--thing-group-name", name)
    assert things == {"things": [name]}
    assert run("describe-event-configurations")["eventConfigurations"]["JOB"] == {"Enabled": False}
    run("remove-thing-from-thing-group", *both)
    run("delete-thing-group", "--thing-group-name", name)


# ---- events --------------------------------------------------------------------------------------


def test_registry_events_reach_subscribers_and_rules(own_node, device):
    iot = own_node.iot()
    enabled = {family: {"Enabled": True} for family in FAMILIES}
    iot.update_event_configurations(eventConfigurations=enabled)
    watcher = device(own_node, "watcher").connect().subscribe("$aws/events/thing/+/created")
    watcher.subscribe("$aws/events/thingGroupMembership/#").subscribe("seen/#")
    republish = {"topic": "seen/${thingName}", "roleArn": ROLE}
    sql = "SELECT operation, topic(4) AS thingName FROM '$aws/events/thing/+/created'"
    rule = {"sql": sql, "actions": [{"republish": republish}]}
    iot.create_topic_rule(ruleName="seen", topicRulePayload=rule)

    thing = iot.create_thing(thingName="t", attributePayload={"attributes": {"a": "1"}})
    messages = {message.topic: message for message in (watcher.message(), watcher.message())}
    event = json.loads(messages["$aws/events/thing/t/created"].payload)
    assert list(event) == [
        "eventType",
        "eventId",
        "timestamp",
        "operation",
        "accountId",
        "thingId",
        "thingName",
        "versionNumber",
        "thingTypeName",
        "attributes",
    ]
    assert re.fullmatch(UUID, event.pop("eventId"))
    assert abs(event.pop("timestamp") - time.time() * 1_000) < 60_000
    assert event == {
        "eventType": "THING_EVENT",
        "operation": "CREATED",
        "accountId": ACCOUNT,
        "thingId": thing["thingId"],
        "thingName": "t",
        "versionNumber": 1,
        "thingTypeName": None,
        "attributes": {"a": "1"},
    }
    assert json.loads(messages["seen/t"].payload) == {"operation": "CREATED", "thingName": "t"}

    made = group(own_node, "g")
    iot.add_thing_to_thing_group(thingName="t", thingGroupName="g")
    added = watcher.message()
    assert added.topic == "$aws/events/thingGroupMembership/thingGroup/g/thing/t/added"
    event = json.loads(added.payload)
    assert (event["groupId"], event["thingId"]) == (made["thingGroupId"], thing["thingId"])
    iot.delete_thing(thingName="t")
    removed = watcher.message()
    assert removed.topic == "$aws/events/thingGroupMembership/thingGroup/g/thing/t/removed"
    assert json.loads(removed.payload)["membershipId"] == event["membershipId"]


# ---- tags ----------------------------------------------------------------------------------------


def test_types_groups_rules_and_policies_have_tags(node, name):
    iot = node.iot()
    one, two = [{"Key": "Owner", "Value": "me"}], [{"Key": "Team", "Value": "a b"}]
    iot.create_thing_type(thingTypeName=name, tags=one)
    group(node, name, tags=one)
    rule = {"sql": "SELECT * FROM 'x'", "actions": []}
    iot.create_topic_rule(ruleName=name, topicRulePayload=rule, tags="Owner=me")
    iot.create_policy(policyName=name, policyDocument=POLICY, tags=one)
    for kind in ("thingtype", "thinggroup", "rule", "policy"):
        resource = f"{kind}/{name}"
        arn = f"{IOT}:{resource}"
        assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == one, resource
        iot.tag_resource(resourceArn=arn, tags=two)
        iot.untag_resource(resourceArn=arn, tagKeys=["Owner"])
        assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == two, resource
    iot.delete_policy(policyName=name)
    iot.create_policy(policyName=name, policyDocument=POLICY)
    assert iot.list_tags_for_resource(resourceArn=f"{IOT}:policy/{name}")["tags"] == []
    iot.delete_topic_rule(ruleName=name)
    with refused("ResourceNotFoundException", 404, name):
        iot.list_tags_for_resource(resourceArn=f"{IOT}:rule/{name}")
    with refused("ResourceNotFoundException", 404, name):
        iot.tag_resource(resourceArn=f"{IOT}:rule/{name}", tags=two)
    iot.create_topic_rule(ruleName=name, topicRulePayload=rule)
    assert iot.list_tags_for_resource(resourceArn=f"{IOT}:rule/{name}")["tags"] == []
    with refused("InvalidRequestException", 400, "kind `thing` has no tags"):
        iot.tag_resource(resourceArn=f"{IOT}:thing/{name}", tags=two)


def test_authorities_have_tags(own_node, name):
    iot, tags = own_node.iot(), [{"Key": "Owner", "Value": "me"}]
    authority = Authority(name).register(own_node, setAsActive=False, tags=tags)
    arn = f"{IOT}:cacert/{authority}"
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    iot.delete_ca_certificate(certificateId=authority)
    with refused("ResourceNotFoundException", 404, authority):
        iot.list_tags_for_resource(resourceArn=arn)


# ---- workflows -----------------------------------------------------------------------------------


def test_workflows_use_groups_tags_and_event_configurations(node, name):
    node.iot().create_thing(thingName=name)

    def run(api, **parameters):
        task = single(
            {
                "Type": "Task",
                "Resource": f"arn:aws:states:::aws-sdk:iot:{api}",
                "Parameters": parameters,
                "End": True,
            }
        )
        arn = machine(node, f"{name}-{api}", task)
        execution = node.sfn().start_execution(stateMachineArn=arn)["executionArn"]
        done = ended(node, execution)
        assert done["status"] == "SUCCEEDED", done
        return json.loads(done["output"])

    tags = [{"Key": "k", "Value": "v"}]
    properties = {"AttributePayload": {"Attributes": {"lower": "1", "Upper": "2"}}}
    made = run("createThingGroup", ThingGroupName=name, Tags=tags, ThingGroupProperties=properties)
    run("addThingToThingGroup", ThingName=name, ThingGroupName=name)
    assert run("listThingsInThingGroup", ThingGroupName=name, Recursive=True) == {"Things": [name]}
    assert run("listTagsForResource", ResourceArn=made["ThingGroupArn"]) == {"Tags": tags}
    described = run("describeThingGroup", ThingGroupName=name)
    assert described["ThingGroupProperties"] == properties
    configurations = {"POLICY": {"Enabled": False}}
    run("updateEventConfigurations", EventConfigurations=configurations)
    described = run("describeEventConfigurations")
    assert described["EventConfigurations"]["POLICY"] == {"Enabled": False}
