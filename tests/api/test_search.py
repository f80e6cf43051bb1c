"""AWS IoT fleet indexing: configuration, search, aggregations, connectivity, dynamic thing groups."""

import json
import re
import time

import pytest
from support import ACCOUNT, REGION, eventually, ended, machine, plain, refused, single

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}"
FULL = {"thingIndexingMode": "REGISTRY", "thingConnectivityIndexingMode": "STATUS"}


@pytest.fixture
def fleet(own_node):
    """A node that indexes things, their connectivity and thing groups."""
    own_node.iot().update_indexing_configuration(
        thingIndexingConfiguration={
            **FULL,
            "customFields": [
                {"name": "attributes.temperature", "type": "Number"},
                {"name": "attributes.site", "type": "String"},
                {"name": "attributes.leased", "type": "Boolean"},
            ],
        },
        thingGroupIndexingConfiguration={"thingGroupIndexingMode": "ON"},
    )
    return own_node


def thing(node, name, **attributes):
    node.iot().create_thing(thingName=name, attributePayload={"attributes": attributes})


def found(node, query, **options):
    things = node.iot().search_index(queryString=query, **options)["things"]
    return [thing["thingName"] for thing in things]


def members(node, group):
    return node.iot().list_things_in_thing_group(thingGroupName=group)["things"]


# ---- configuration -------------------------------------------------------------------------------


def test_nothing_is_indexed_until_it_is_asked_for(own_node):
    iot = own_node.iot()
    configuration = plain(iot.get_indexing_configuration())
    assert configuration["thingIndexingConfiguration"]["thingIndexingMode"] == "OFF"
    assert configuration["thingGroupIndexingConfiguration"] == {"thingGroupIndexingMode": "OFF"}
    assert iot.list_indices()["indexNames"] == []
    with refused("ResourceNotFoundException", 404, "AWS_Things"):
        iot.search_index(queryString="*")
    with refused("ResourceNotFoundException", 404, "AWS_Things"):
        iot.describe_index(indexName="AWS_Things")
    with refused("IndexNotReadyException", 400, "thingConnectivityIndexingMode"):
        iot.get_thing_connectivity_data(thingName="x")


def test_each_half_of_the_configuration_is_kept(own_node):
    iot = own_node.iot()
    iot.update_indexing_configuration(thingIndexingConfiguration=FULL)
    iot.update_indexing_configuration(
        thingGroupIndexingConfiguration={"thingGroupIndexingMode": "ON"}
    )
    own_node.restart()
    iot = own_node.iot()
    configuration = plain(iot.get_indexing_configuration())
    things = configuration["thingIndexingConfiguration"]
    assert {name: things[name] for name in FULL} == FULL
    assert {"name": "connectivity.connected", "type": "Boolean"} in things["managedFields"]
    assert iot.list_indices()["indexNames"] == ["AWS_Things", "AWS_ThingGroups"]
    described = plain(iot.describe_index(indexName="AWS_Things"))
    assert described == {
        "indexName": "AWS_Things",
        "indexStatus": "ACTIVE",
        "schema": "REGISTRY_AND_CONNECTIVITY_STATUS",
    }
    # What is answered can be given back.
    iot.update_indexing_configuration(**configuration)
    assert plain(iot.get_indexing_configuration()) == configuration
    iot.update_indexing_configuration(thingIndexingConfiguration={"thingIndexingMode": "OFF"})
    assert iot.list_indices()["indexNames"] == ["AWS_ThingGroups"]


def test_what_cannot_be_indexed_is_refused_by_name(own_node):
    iot = own_node.unchecked("iot")
    for configuration, what in (
        ({"thingIndexingMode": "REGISTRY_AND_SHADOW"}, "shadows"),
        ({**FULL, "namedShadowIndexingMode": "ON"}, "shadows"),
        ({**FULL, "deviceDefenderIndexingMode": "VIOLATIONS"}, "Device Defender"),
        ({**FULL, "filter": {"geoLocations": [{"name": "a"}]}}, "geoLocations"),
        ({**FULL, "customFields": [{"name": "shadow.x", "type": "Number"}]}, "shadow.x"),
        ({**FULL, "managedFields": [{"name": "x", "type": "Number"}]}, "`x`"),
        ({"thingIndexingMode": "ON"}, "ON"),
        ({"thingIndexingMode": "OFF", "thingConnectivityIndexingMode": "STATUS"}, "REGISTRY"),
    ):
        with refused("InvalidRequestException", 400, what):
            iot.update_indexing_configuration(thingIndexingConfiguration=configuration)


# ---- search --------------------------------------------------------------------------------------


def test_a_thing_is_found_by_name_attribute_type_and_group(fleet):
    iot = fleet.iot()
    iot.create_thing_type(thingTypeName="Gateway")
    iot.create_thing(
        thingName="gw-1",
        thingTypeName="Gateway",
        attributePayload={"attributes": {"site": "Oslo", "temperature": "21"}},
    )
    thing(fleet, "gw-2", site="Rome", temperature="5")
    iot.create_thing_group(thingGroupName="north")
    iot.add_thing_to_thing_group(thingGroupName="north", thingName="gw-1")
    for query in (
        "gw-1",
        "thingName:gw-1",
        "thingTypeName:gateway",
        "thingGroupNames:north",
        "attributes.site: oslo",
        "attributes.temperature:[20 TO 30]",
        "thingName:(gw* AND -gw-2)",
    ):
        assert found(fleet, query) == ["gw-1"], query
    assert found(fleet, "*") == ["gw-1", "gw-2"]
    [one] = iot.search_index(indexName="AWS_Things", queryString="gw-1")["things"]
    assert one == {
        "thingName": "gw-1",
        "thingId": iot.describe_thing(thingName="gw-1")["thingId"],
        "thingTypeName": "Gateway",
        "thingGroupNames": ["north"],
        "attributes": {"site": "Oslo", "temperature": "21"},
        "connectivity": {"connected": False},
    }


def test_a_search_comes_in_pages(fleet):
    for number in range(7):
        thing(fleet, f"p{number}", site="x")
    iot, names, token = fleet.iot(), [], {}
    while True:
        page = iot.search_index(queryString="attributes.site:x", maxResults=3, **token)
        assert len(page["things"]) <= 3
        names += [one["thingName"] for one in page["things"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert names == [f"p{number}" for number in range(7)]


def test_a_query_that_cannot_be_understood_says_where_and_what_to_write(fleet):
    iot = fleet.iot()
    for query, what in (
        ("thingGroupName:a", "invalid field name, field name: thingGroupName"),
        ("thingGroupName:a", "did you mean `thingGroupNames`"),
        ("(a", r"no closing `\)`, at character 1"),
        ("attributes.x:[1 2]", "`TO` is missing in a range, at character 17"),
        ("shadow.reported.x:1", "indexed shadows are not available in stepwire yet"),
    ):
        with refused("InvalidQueryException", 400, what):
            iot.search_index(queryString=query)
    with refused("ResourceNotFoundException", 404, "AWS_Planets"):
        iot.search_index(indexName="AWS_Planets", queryString="*")
    with refused("InvalidRequestException", 400, "2017-09-30"):
        iot.search_index(queryString="*", queryVersion="2001-01-01")


def test_thing_groups_are_searched(fleet):
    iot = fleet.iot()
    iot.create_thing_group(thingGroupName="world")
    iot.create_thing_group(
        thingGroupName="north",
        parentGroupName="world",
        thingGroupProperties={
            "thingGroupDescription": "Gateways up north",
            "attributePayload": {"attributes": {"owner": "me"}},
        },
    )
    for query in ("north", "parentGroupNames:world", "attributes.owner:ME", "thingGroupDescription:gateways"):
        groups = iot.search_index(indexName="AWS_ThingGroups", queryString=query)["thingGroups"]
        assert [group["thingGroupName"] for group in groups] == ["north"], query
    [group] = iot.search_index(indexName="AWS_ThingGroups", queryString="north")["thingGroups"]
    assert group == {
        "thingGroupName": "north",
        "thingGroupId": iot.describe_thing_group(thingGroupName="north")["thingGroupId"],
        "thingGroupDescription": "Gateways up north",
        "attributes": {"owner": "me"},
        "parentGroupNames": ["world"],
    }


# ---- aggregations --------------------------------------------------------------------------------


def test_values_are_aggregated(fleet):
    iot = fleet.iot()
    for number, site in enumerate(("Oslo", "Oslo", "Rome", "Bonn")):
        thing(fleet, f"a{number}", site=site, temperature=str(10 * number), leased="true")
    thing(fleet, "broken", temperature="warm", leased="false")
    over = {"queryString": "*", "aggregationField": "attributes.temperature"}
    statistics = iot.get_statistics(**over)["statistics"]
    assert statistics["count"] == 4
    assert (statistics["minimum"], statistics["maximum"], statistics["sum"]) == (0, 30, 60)
    assert (statistics["average"], statistics["sumOfSquares"]) == (15, 1400)
    assert statistics["variance"] == 125
    assert round(statistics["stdDeviation"], 3) == 11.18
    assert plain(iot.get_statistics(queryString="a*"))["statistics"]["count"] == 4
    texts = iot.get_statistics(queryString="*", aggregationField="attributes.site")
    assert texts["statistics"] == {"count": 4}
    truths = iot.get_statistics(queryString="*", aggregationField="attributes.leased")
    assert (truths["statistics"]["count"], truths["statistics"]["average"]) == (5, 0.8)
    assert iot.get_cardinality(queryString="*", aggregationField="attributes.site")["cardinality"] == 3
    percentiles = iot.get_percentiles(**over, percents=[50, 100])["percentiles"]
    assert percentiles == [{"percent": 50, "value": 15}, {"percent": 100, "value": 30}]
    assert [pair["percent"] for pair in iot.get_percentiles(**over)["percentiles"]] == [
        1, 5, 25, 50, 75, 95, 99,
    ]  # fmt: skip
    buckets = iot.get_buckets_aggregation(
        queryString="*",
        aggregationField="attributes.site",
        bucketsAggregationType={"termsAggregation": {"maxBuckets": 2}},
    )
    assert plain(buckets) == {
        "totalCount": 5,
        "buckets": [{"keyValue": "Oslo", "count": 2}, {"keyValue": "Bonn", "count": 1}],
    }
    with refused("InvalidAggregationException", 400, "attributes.nowhere"):
        iot.get_statistics(queryString="*", aggregationField="attributes.nowhere")
    with refused("InvalidAggregationException", 400, "String"):
        iot.get_percentiles(queryString="*", aggregationField="attributes.site")


# ---- connectivity and dynamic groups -------------------------------------------------------------


def test_a_device_that_connects_and_goes_is_found(fleet, device):
    iot = fleet.iot()
    thing(fleet, "other")
    gateway = device(fleet, "gw-1")
    before = time.time() * 1000 - 1000
    gateway.connect()
    assert found(fleet, "connectivity.connected:true") == ["gw-1"]
    [one] = iot.search_index(queryString="gw-1")["things"]
    assert one["connectivity"]["connected"] is True
    assert before < one["connectivity"]["timestamp"] < time.time() * 1000 + 1000
    data = iot.get_thing_connectivity_data(thingName="gw-1")
    assert (data["connected"], data["disconnectReason"]) == (True, "NONE")
    assert abs(data["timestamp"].timestamp() * 1000 - one["connectivity"]["timestamp"]) < 1000
    gateway.close()
    eventually(lambda: found(fleet, "connectivity.connected:true") == [])
    [one] = iot.search_index(
        queryString="connectivity.disconnectReason:CLIENT_INITIATED_DISCONNECT"
    )["things"]
    assert one["thingName"] == "gw-1"
    assert one["connectivity"]["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
    assert iot.get_thing_connectivity_data(thingName="gw-1")["connected"] is False
    with refused("ResourceNotFoundException", 404, "nowhere"):
        iot.get_thing_connectivity_data(thingName="nowhere")


def test_who_was_connected_when_the_node_was_killed_is_found(fleet, device):
    gateway = device(fleet, "gw-1").connect()
    fleet.iot().create_dynamic_thing_group(
        thingGroupName="online", queryString="connectivity.connected:true"
    )
    assert members(fleet, "online") == ["gw-1"]
    # It does not come back by itself.
    gateway.mqtt.loop_stop()
    fleet.restart()
    assert found(fleet, "connectivity.disconnectReason:SERVER_ERROR") == ["gw-1"]
    assert found(fleet, "connectivity.connected:true") == []
    assert members(fleet, "online") == []


def test_members_of_a_dynamic_group_follow_connectivity(fleet, device):
    iot = fleet.iot()
    created = plain(
        iot.create_dynamic_thing_group(
            thingGroupName="online", queryString="connectivity.connected:true"
        )
    )
    assert created == {
        "thingGroupName": "online",
        "thingGroupArn": f"{IOT}:thinggroup/online",
        "thingGroupId": created["thingGroupId"],
        "indexName": "AWS_Things",
        "queryString": "connectivity.connected:true",
        "queryVersion": "2017-09-30",
    }
    gateway = device(fleet, "gw-1").connect()
    assert members(fleet, "online") == ["gw-1"]
    [group] = iot.list_thing_groups_for_thing(thingName="gw-1")["thingGroups"]
    assert group["groupName"] == "online"
    gateway.close()
    eventually(lambda: members(fleet, "online") == [])


def test_a_dynamic_group_is_described_changed_and_deleted(fleet):
    iot = fleet.iot()
    thing(fleet, "a", firmwareVersion="1.2.1")
    thing(fleet, "b", firmwareVersion="1.2.2")
    query = "attributes.firmwareVersion: 1.2.1"
    iot.create_dynamic_thing_group(
        thingGroupName="old",
        queryString=query,
        thingGroupProperties={"thingGroupDescription": "to be upgraded"},
    )
    described = plain(iot.describe_thing_group(thingGroupName="old"))
    assert (described["queryString"], described["status"]) == (query, "ACTIVE")
    assert described["thingGroupProperties"] == {"thingGroupDescription": "to be upgraded"}
    assert members(fleet, "old") == ["a"]
    changed = iot.update_dynamic_thing_group(
        thingGroupName="old",
        thingGroupProperties={},
        queryString="attributes.firmwareVersion:1.2.*",
        expectedVersion=1,
    )
    assert changed["version"] == 2
    assert members(fleet, "old") == ["a", "b"]
    with refused("VersionConflictException", 409, "version"):
        iot.update_dynamic_thing_group(
            thingGroupName="old", thingGroupProperties={}, expectedVersion=1
        )
    with refused("InvalidRequestException", 400, "dynamic"):
        iot.add_thing_to_thing_group(thingGroupName="old", thingName="a")
    with refused("InvalidQueryException", 400, "invalid field name"):
        iot.create_dynamic_thing_group(thingGroupName="bad", queryString="nothing:a")
    iot.delete_dynamic_thing_group(thingGroupName="old")
    iot.delete_dynamic_thing_group(thingGroupName="old")
    with refused("ResourceNotFoundException", 404, "old"):
        iot.describe_thing_group(thingGroupName="old")
    assert found(fleet, "thingGroupNames:old") == []


def test_a_dynamic_group_is_told_of_its_members(fleet, device):
    iot = fleet.iot()
    iot.update_event_configurations(
        eventConfigurations={"THING_GROUP_MEMBERSHIP": {"Enabled": True}}
    )
    watcher = device(fleet, "watcher").connect()
    watcher.subscribe("$aws/events/thingGroupMembership/#")
    iot.create_dynamic_thing_group(thingGroupName="hot", queryString="attributes.temperature>30")
    thing(fleet, "stove", temperature="80")
    message = watcher.message()
    assert message.topic == "$aws/events/thingGroupMembership/thingGroup/hot/thing/stove/added"
    event = json.loads(message.payload)
    assert (event["operation"], event["groupArn"]) == ("ADDED", f"{IOT}:thinggroup/hot")
    payload = {"attributes": {"temperature": "20"}}
    iot.update_thing(thingName="stove", attributePayload=payload)
    assert watcher.message().topic.endswith("/thingGroup/hot/thing/stove/removed")


def test_policies_are_not_attached_to_dynamic_groups(fleet):
    iot = fleet.iot()
    group = iot.create_dynamic_thing_group(thingGroupName="dyn", queryString="*")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }
    iot.create_policy(policyName="p", policyDocument=json.dumps(document))
    with refused("InvalidRequestException", 400, "target|dyn"):
        iot.attach_policy(policyName="p", target=group["thingGroupArn"])


# ---- workflows and the command line --------------------------------------------------------------


def test_a_workflow_searches_as_the_firmware_sample_does(fleet, device):
    device(fleet, "gw-1").connect()
    fleet.iot().update_thing(
        thingName="gw-1", attributePayload={"attributes": {"firmwareVersion": "1.2.1"}}
    )
    definition = {
        "StartAt": "GetDevice",
        "States": {
            "GetDevice": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:iot:searchIndex",
                "Parameters": {"QueryString.$": "$.thingName"},
                "ResultPath": "$.result",
                "Next": "Evaluate",
            },
            "Evaluate": {
                "Type": "Pass",
                "Parameters": {
                    "thingName.$": "$.result.Things[0].ThingName",
                    "firmwareVersion.$": "$.result.Things[0].Attributes.firmwareVersion",
                    "thingId.$": "$.result.Things[0].ThingId",
                    "connected.$": "$.result.Things[0].Connectivity.Connected",
                },
                "End": True,
            },
        },
    }
    arn = machine(fleet, "firmware", definition)
    execution = fleet.sfn().start_execution(
        stateMachineArn=arn, input=json.dumps({"thingName": "gw-1"})
    )["executionArn"]
    output = json.loads(ended(fleet, execution)["output"])
    assert output == {
        "thingName": "gw-1",
        "firmwareVersion": "1.2.1",
        "thingId": fleet.iot().describe_thing(thingName="gw-1")["thingId"],
        "connected": True,
    }


def test_a_task_fails_with_the_service_s_own_error(fleet):
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:iot:searchIndex",
        "Parameters": {"QueryString": "nothing:x"},
        "End": True,
    }
    arn = machine(fleet, "wrong", single(task))
    execution = fleet.sfn().start_execution(stateMachineArn=arn)["executionArn"]
    failed = ended(fleet, execution)
    assert failed["error"] == "Iot.InvalidQueryException"
    assert re.match("Unable to parse query, invalid field name, .*nothing", failed["cause"])


def test_the_command_line_searches(node, name, aws):
    node.iot().update_indexing_configuration(thingIndexingConfiguration=FULL)
    thing(node, name, colour=name)
    status, output, errors = aws(
        "iot", "search-index", "--query-string", f"attributes.colour:{name}", "--output", "json"
    )
    assert status == 0, errors
    assert [one["thingName"] for one in json.loads(output)["things"]] == [name]
    status, output, errors = aws("iot", "search-index", "--query-string", "attributes.x:[1")
    assert status != 0
    assert "InvalidQueryException" in errors
