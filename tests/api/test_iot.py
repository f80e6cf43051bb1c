"""AWS IoT: things, certificates, policies, endpoints, publishing."""

import datetime
import hashlib
import json
import re
import ssl

import pytest
from support import ACCOUNT, PATIENCE, REGION, UUID, eventually, plain, refused

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}],
    }
)


# ---- things --------------------------------------------------------------------------------------


def test_a_created_thing_is_described(node, name):
    attributes = {"profileId": "user-1", "site": "north"}
    created = plain(
        node.iot().create_thing(thingName=name, attributePayload={"attributes": attributes})
    )
    assert created == {
        "thingName": name,
        "thingArn": f"{IOT}:thing/{name}",
        "thingId": created["thingId"],
    }
    assert re.fullmatch(UUID, created["thingId"])
    assert plain(node.iot().describe_thing(thingName=name)) == {
        **created,
        "defaultClientId": name,
        "attributes": attributes,
        "version": 1,
    }


def test_creating_the_same_thing_again_answers_the_same(node, name):
    payload = {"attributes": {"a": "1"}}
    created = plain(node.iot().create_thing(thingName=name, attributePayload=payload))
    assert plain(node.iot().create_thing(thingName=name, attributePayload=payload)) == created
    with refused(
        "ResourceAlreadyExistsException", 409, f"^Thing {name} already exists in account"
    ) as _:
        node.iot().create_thing(thingName=name, attributePayload={"attributes": {"a": "2"}})


def test_the_refusal_of_another_thing_names_the_one_there_is(node, name):
    created = node.iot().create_thing(thingName=name)
    body = {"attributePayload": {"attributes": {"a": "1"}}}
    status, headers, answer = node.request("iot", "POST", f"/things/{name}", body)
    assert (status, headers["x-amzn-ErrorType"]) == (409, "ResourceAlreadyExistsException")
    answer = json.loads(answer)
    assert answer["resourceArn"] == created["thingArn"]
    assert answer["resourceId"] == created["thingId"]


def test_a_thing_is_updated_by_version(node, name):
    iot = node.iot()
    iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1", "b": "2"}})
    merge = {"attributes": {"b": "3", "c": "4"}, "merge": True}
    iot.update_thing(thingName=name, attributePayload=merge, expectedVersion=1)
    described = iot.describe_thing(thingName=name)
    assert described["attributes"] == {"a": "1", "b": "3", "c": "4"}
    assert described["version"] == 2
    with refused("VersionConflictException", 409, "version 1.*2"):
        iot.update_thing(thingName=name, attributePayload=merge, expectedVersion=1)
    with refused("VersionConflictException", 409, "version 1.*2"):
        iot.delete_thing(thingName=name, expectedVersion=1)


def test_a_deleted_thing_is_gone(node, name):
    node.iot().create_thing(thingName=name)
    for _ in range(2):
        assert plain(node.iot().delete_thing(thingName=name)) == {}
    with refused("ResourceNotFoundException", 404, f"^Thing {name} cannot be found\\.$"):
        node.iot().describe_thing(thingName=name)


def test_a_thing_with_a_certificate_cannot_be_deleted(node, name):
    iot = node.iot()
    iot.create_thing(thingName=name)
    arn = iot.create_keys_and_certificate()["certificateArn"]
    iot.attach_thing_principal(thingName=name, principal=arn)
    with refused("InvalidRequestException", 400, name):
        iot.delete_thing(thingName=name)
    iot.detach_thing_principal(thingName=name, principal=arn)
    iot.delete_thing(thingName=name)


def test_names_and_attributes_are_checked(node, name):
    iot = node.unchecked("iot")
    for bad in ("a b", "a" * 129, "ä"):
        with refused("InvalidRequestException", 400, "thingName"):
            iot.create_thing(thingName=bad)
    for attributes, what in (
        ({"a b": "x"}, "a b"),
        ({"a": "x" * 801}, "`a`"),
        ({"a": "not allowed!"}, "`a`"),
        ({"a": ""}, "`a`"),
        ({f"a{number}": "x" for number in range(51)}, "at most 3"),
    ):
        with refused("InvalidRequestException", 400, what):
            iot.create_thing(thingName=name, attributePayload={"attributes": attributes})
    with refused("InvalidRequestException", 400, "thingTypeName"):
        iot.create_thing(thingName=name, thingTypeName="a b")
    with refused("ResourceNotFoundException", 404, name):
        iot.describe_thing(thingName=name)


def test_things_are_listed_in_pages_and_by_attribute(own_node):
    iot = own_node.iot()
    for number in range(7):
        attributes = {"site": "north" if number % 2 else "south"}
        iot.create_thing(thingName=f"g{number}", attributePayload={"attributes": attributes})

    def listed(**more):
        found, token = [], {}
        while True:
            page = iot.list_things(maxResults=2, **more, **token)
            assert len(page["things"]) <= 2
            found += page["things"]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    assert [thing["thingName"] for thing in listed()] == [f"g{number}" for number in range(7)]
    north = listed(attributeName="site", attributeValue="north")
    assert [thing["thingName"] for thing in north] == ["g1", "g3", "g5"]
    assert north[0] == {
        "thingName": "g1",
        "thingArn": f"{IOT}:thing/g1",
        "attributes": {"site": "north"},
        "version": 1,
    }
    with refused("InvalidRequestException", 400, "maxResults"):
        own_node.unchecked("iot").list_things(maxResults=251)
    with refused("InvalidRequestException", 400, "maxResults"):
        own_node.unchecked("iot").list_things(maxResults=0)


# ---- certificates and policies -------------------------------------------------------------------


def test_keys_and_certificate_belong_together(node):
    made = plain(node.iot().create_keys_and_certificate(setAsActive=True))
    assert made.keys() == {"certificateArn", "certificateId", "certificatePem", "keyPair"}
    der = ssl.PEM_cert_to_DER_cert(made["certificatePem"])
    assert made["certificateId"] == hashlib.sha256(der).hexdigest()
    assert made["certificateArn"] == f"{IOT}:cert/{made['certificateId']}"
    assert made["keyPair"]["PublicKey"].startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE KEY-----" in made["keyPair"]["PrivateKey"]
    described = node.iot().describe_certificate(certificateId=made["certificateId"])
    described = described["certificateDescription"]
    assert described["status"] == "ACTIVE"
    assert described["certificatePem"] == made["certificatePem"]
    assert isinstance(described["creationDate"], datetime.datetime)


def test_a_certificate_is_inactive_unless_asked_otherwise(node):
    iot = node.iot()
    made = iot.create_keys_and_certificate()["certificateId"]

    def status():
        return iot.describe_certificate(certificateId=made)["certificateDescription"]["status"]

    assert status() == "INACTIVE"
    iot.update_certificate(certificateId=made, newStatus="ACTIVE")
    assert status() == "ACTIVE"
    with refused("CertificateStateException", 406, "ACTIVE"):
        iot.delete_certificate(certificateId=made)
    iot.update_certificate(certificateId=made, newStatus="INACTIVE")
    iot.delete_certificate(certificateId=made)
    with refused("ResourceNotFoundException", 404, made):
        iot.describe_certificate(certificateId=made)


def test_a_policy_is_created_once(node, name):
    created = plain(node.iot().create_policy(policyName=name, policyDocument=POLICY))
    assert created == {
        "policyName": name,
        "policyArn": f"{IOT}:policy/{name}",
        "policyDocument": POLICY,
        "policyVersionId": "1",
    }
    with refused("ResourceAlreadyExistsException", 409, name):
        node.iot().create_policy(policyName=name, policyDocument=POLICY)
    assert node.iot().get_policy(policyName=name)["policyDocument"] == POLICY
    node.iot().delete_policy(policyName=name)
    with refused("ResourceNotFoundException", 404, name):
        node.iot().get_policy(policyName=name)


@pytest.mark.parametrize(
    "document, place",
    [
        ("{", "line 1|EOF"),
        ("{}", "Version"),
        ('{"Version":"2012-10-17","Statement":[]}', "Statement"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"May","Action":"a","Resource":"*"}]}', "Effect"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*"}]}', "Action"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*",'
         '"Condition":{"StringEqual":{"iot:ClientId":"a"}}}]}', "Condition.*StringEquals"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*",'
         '"Resource":"${iot:Nope}"}]}', "iot:Nope"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"'
         + "x" * 2048 + '"}]}', "2048"),
    ],
)
def test_a_policy_that_cannot_be_enforced_is_refused(node, name, document, place):
    with refused("MalformedPolicyException", 400, place):
        node.iot().create_policy(policyName=name, policyDocument=document)


def test_policies_and_things_are_attached_to_certificates(node, name):
    iot = node.iot()
    arn = iot.create_keys_and_certificate()["certificateArn"]
    iot.create_thing(thingName=name)
    iot.create_policy(policyName=name, policyDocument=POLICY)
    for _ in range(2):
        assert plain(iot.attach_policy(policyName=name, target=arn)) == {}
        assert plain(iot.attach_thing_principal(thingName=name, principal=arn)) == {}
    policies = iot.list_attached_policies(target=arn)["policies"]
    assert policies == [{"policyName": name, "policyArn": f"{IOT}:policy/{name}"}]
    assert iot.list_thing_principals(thingName=name)["principals"] == [arn]
    assert iot.list_principal_things(principal=arn)["things"] == [name]
    with refused("DeleteConflictException", 409, name):
        iot.delete_policy(policyName=name)
    iot.detach_policy(policyName=name, target=arn)
    iot.delete_policy(policyName=name)


def test_only_what_exists_is_attached(node, name):
    iot = node.iot()
    arn = iot.create_keys_and_certificate()["certificateArn"]
    other = f"{IOT}:cert/{'0' * 64}"
    with refused("ResourceNotFoundException", 404, name):
        iot.attach_policy(policyName=name, target=arn)
    with refused("ResourceNotFoundException", 404, name):
        iot.attach_thing_principal(thingName=name, principal=arn)
    iot.create_thing(thingName=name)
    iot.create_policy(policyName=name, policyDocument=POLICY)
    with refused("ResourceNotFoundException", 404, "0000"):
        iot.attach_policy(policyName=name, target=other)
    with refused("ResourceNotFoundException", 404, "0000"):
        iot.attach_thing_principal(thingName=name, principal=other)
    with refused("InvalidRequestException", 400, "target"):
        iot.attach_policy(policyName=name, target="us-east-1:some-identity")


# ---- endpoints and publishing --------------------------------------------------------------------


def test_endpoints_are_bare_names_or_say_their_port(node):
    data = plain(node.iot().describe_endpoint(endpointType="iot:Data-ATS"))
    assert data == {"endpointAddress": f"localhost:{node.mqtt_port}"}
    assert plain(node.iot().describe_endpoint()) == data
    jobs = node.iot().describe_endpoint(endpointType="iot:Jobs")["endpointAddress"]
    assert node.endpoint.endswith(jobs.split(":")[1])
    with refused("InvalidRequestException", 400, "iot:Nope"):
        node.iot().describe_endpoint(endpointType="iot:Nope")


def test_a_published_message_reaches_its_subscriber(node, name, device):
    one = device(node, name).connect().subscribe(f"x/{name}/+")
    data = node.client("iot-data")
    assert plain(data.publish(topic=f"x/{name}/a b", qos=1, payload=b"\x00\xff")) == {}
    message = one.message()
    assert (message.topic, message.payload, message.qos) == (f"x/{name}/a b", b"\x00\xff", 1)
    assert not message.retain
    data.publish(topic=f"x/{name}/kept", qos=1, retain=True, payload=b"kept")
    assert one.message().payload == b"kept"
    one.subscribe(f"x/{name}/kept")
    assert one.message().retain
    data.publish(topic=f"x/{name}/none")
    assert eventually(lambda: one.messages.get(timeout=PATIENCE).payload == b"")


def test_a_message_cannot_be_published_everywhere(node):
    data = node.unchecked("iot-data")
    for topic in ("a/+", "a/#", "$aws/events/presence/connected/x"):
        with refused("InvalidRequestException", 400, "topic"):
            data.publish(topic=topic, payload=b"")
    with refused("InvalidRequestException", 400, "qos"):
        data.publish(topic="a", qos=2, payload=b"")


def test_a_message_fits_a_packet(node):
    data = node.client("iot-data")
    with refused("RequestEntityTooLargeException", 413, "at most 1048576"):
        data.publish(topic="x", payload=b"x" * (1 << 20))
    with refused("InvalidRequestException", 400, "200 levels"):
        data.publish(topic="x" + "/x" * 200, payload=b"")


def test_properties_are_sent_along(node, name):
    data = node.client("iot-data")
    data.publish(
        topic=f"x/{name}",
        payload=b"{}",
        contentType="application/json",
        userProperties=[{"a": "b"}],
        responseTopic="r",
        correlationData="AAAA",
        messageExpiry=60,
        payloadFormatIndicator="UTF8_DATA",
    )
    for member, bad in (("userProperties", {"a": "b"}), ("correlationData", "%")):
        with refused("InvalidRequestException", 400, f"`{member}`"):
            data.publish(topic=f"x/{name}", payload=b"{}", **{member: bad})


# ---- the rest ------------------------------------------------------------------------------------


def test_operations_that_come_later_are_refused_by_name(node):
    for call, arguments, operation in (
        ("list_billing_groups", {}, "ListBillingGroups"),
        ("list_streams", {}, "ListStreams"),
    ):
        with refused("UnknownOperationException", 400, f"`{operation}` is not available"):
            getattr(node.iot(), call)(**arguments)


def test_unknown_paths_methods_and_parameters_are_refused(node, name):
    def asked(method, path, body=b""):
        status, headers, answer = node.request("iot", method, path, body)
        return status, headers["x-amzn-ErrorType"], json.loads(answer)["message"]

    status, code, message = asked("GET", "/nowhere")
    assert (status, code) == (404, "ResourceNotFoundException") and "/nowhere" in message
    status, code, message = asked("PUT", "/keys-and-certificate")
    assert (status, code) == (405, "MethodNotAllowedException") and "PUT" in message
    for path, body in ((f"/things/{name}", {"colour": 1}), (f"/things/{name}?colour=1", {})):
        status, code, message = asked("POST", path, body)
        assert (status, code) == (400, "InvalidRequestException") and "`colour`" in message
    with refused("ResourceNotFoundException", 404, name):
        node.iot().describe_thing(thingName=name)


def test_what_was_acknowledged_survives_a_kill(own_node, device):
    node = own_node
    one = device(node, "dev-1")
    node.client("iot-data").publish(topic="kept", qos=1, retain=True, payload=b"still here")
    node.iot().update_thing(thingName="dev-1", attributePayload={"attributes": {"a": "1"}})
    node.restart()
    described = node.iot().describe_thing(thingName="dev-1")
    assert (described["attributes"], described["version"]) == ({"a": "1"}, 2)
    assert node.iot().list_thing_principals(thingName="dev-1")["principals"] == [one.certificate]
    assert one.connect().subscribe("kept").message().payload == b"still here"
    one.close()
    node.iot().detach_thing_principal(thingName="dev-1", principal=one.certificate)
    node.iot().delete_thing(thingName="dev-1")
    node.restart()
    assert node.iot().list_things()["things"] == []
