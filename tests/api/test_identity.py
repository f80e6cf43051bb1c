"""Certificates, authorities and policies; a device whose rights change while it is connected."""

import datetime
import hashlib
import http.client
import json
import queue
import re
import ssl
import time

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from support import ACCOUNT, PATIENCE, REGION, UUID, Mqtt, Node, plain, refused

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}"
NOT_AUTHORIZED = 0x87


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


EVERYTHING = policy(allow("iot:*"))


# ---- keys and certificates of our own ------------------------------------------------------------


def key_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def subject(common_name, organization="Acme"):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def signing_request(common_name, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject(common_name))
    return key, request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


class Authority:
    """A certificate authority that is not the node's."""

    def __init__(self, name, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = subject(name)
        self.pem, _ = self.sign(name, self.key, authority=True)

    def sign(self, common_name, key=None, authority=False):
        """A certificate in PEM, and its key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name if authority else subject(common_name))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        made = builder.sign(self.key, hashes.SHA256())
        return made.public_bytes(Encoding.PEM).decode(), key

    def register(self, node, **options):
        """Its id, once it is registered with a verification certificate."""
        code = node.iot().get_registration_code()["registrationCode"]
        proof, _ = self.sign(code)
        return node.iot().register_ca_certificate(
            caCertificate=self.pem, verificationCertificate=proof, **options
        )["certificateId"]


class Link:
    """A device over mutual TLS with any certificate, MQTT 5.0: how it was answered and ended."""

    def __init__(self, node, client_id, certificate, key, **options):
        files = [node.folder.parent / f"{client_id}.{end}" for end in ("pem", "key")]
        files[0].write_text(certificate)
        files[1].write_text(key)
        self.messages, self.ends = queue.Queue(), queue.Queue()
        self.answered, self.acks = queue.Queue(), queue.Queue()
        self.mqtt = Mqtt(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        if "will" in options:
            self.mqtt.will_set(*options["will"])
        context = ssl.create_default_context(cafile=str(node.folder / "ca.pem"))
        context.load_cert_chain(*map(str, files))
        self.mqtt.tls_set_context(context)
        self.mqtt.reconnect_delay_set(60, 60)
        self.mqtt.on_connect = lambda _c, _u, _f, reason, _p: self.answered.put(reason.value)
        self.mqtt.on_disconnect = lambda _c, _u, _f, reason, _p: self.ends.put(
            (reason.value, time.monotonic())
        )
        self.mqtt.on_message = lambda _c, _u, message: self.messages.put(message)
        self.mqtt.on_subscribe = lambda _c, _u, _m, reasons, _p: self.acks.put(reasons[0].value)
        self.mqtt.on_publish = lambda _c, _u, _m, reason, _p: self.acks.put(reason.value)
        self.mqtt.connect("localhost", node.mqtt_port, keepalive=30)
        self.mqtt.loop_start()
        self.reason = self.answered.get(timeout=PATIENCE)

    def subscribe(self, topic):
        self.mqtt.subscribe(topic, 1)
        return self.acks.get(timeout=PATIENCE)

    def publish(self, topic, payload="x"):
        self.mqtt.publish(topic, payload, 1)
        return self.acks.get(timeout=PATIENCE)

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


@pytest.fixture
def link():
    """Connects, and disconnects at the end."""
    made = []

    def connect(*arguments, **options):
        made.append(Link(*arguments, **options))
        return made[-1]

    yield connect
    for one in made:
        one.close()


class Identity:
    """A certificate with keys and a policy of its own."""

    def __init__(self, node, name, document=EVERYTHING):
        made = node.iot().create_keys_and_certificate(setAsActive=True)
        self.arn, self.id = made["certificateArn"], made["certificateId"]
        self.pem, self.key = made["certificatePem"], made["keyPair"]["PrivateKey"]
        node.iot().create_policy(policyName=name, policyDocument=document)
        node.iot().attach_policy(policyName=name, target=self.arn)


def described(node, certificate):
    return node.iot().describe_certificate(certificateId=certificate)["certificateDescription"]


# ---- certificates --------------------------------------------------------------------------------


def test_a_certificate_is_described_in_full(node):
    iot = node.iot()
    made = iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
    found = described(node, made)
    assert (found["status"], found["ownedBy"], found["customerVersion"]) == ("ACTIVE", ACCOUNT, 1)
    assert found["certificateMode"] == "DEFAULT"
    assert re.fullmatch(UUID, found["generationId"])
    assert found["validity"]["notBefore"] < found["creationDate"] < found["validity"]["notAfter"]
    assert "caCertificateId" not in found
    iot.update_certificate(certificateId=made, newStatus="INACTIVE")
    iot.update_certificate(certificateId=made, newStatus="INACTIVE")
    assert described(node, made)["customerVersion"] == 2


def test_a_certificate_goes_through_its_states(node):
    iot = node.iot()
    made = iot.create_keys_and_certificate()["certificateId"]
    for status in ("ACTIVE", "REVOKED", "INACTIVE"):
        iot.update_certificate(certificateId=made, newStatus=status)
        assert described(node, made)["status"] == status
    for status in ("PENDING_TRANSFER", "PENDING_ACTIVATION"):
        with refused("InvalidRequestException", 400, status):
            iot.update_certificate(certificateId=made, newStatus=status)
    with refused("ResourceNotFoundException", 404, "0" * 64):
        iot.update_certificate(certificateId="0" * 64, newStatus="ACTIVE")
    iot.delete_certificate(certificateId=made)
    with refused("ResourceNotFoundException", 404, made):
        iot.describe_certificate(certificateId=made)


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
def test_a_device_connects_with_the_certificate_for_its_own_request(node, name, link, kind):
    iot = node.iot()
    keys = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }
    key, request = signing_request(name, keys[kind]())
    made = iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
    assert plain(made).keys() == {"certificateArn", "certificateId", "certificatePem"}
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.subject == subject(name)
    assert certificate.public_key() == key.public_key()
    der = ssl.PEM_cert_to_DER_cert(made["certificatePem"])
    assert made["certificateId"] == hashlib.sha256(der).hexdigest()
    document = policy(allow("iot:Connect", f"{IOT}:client/${{iot:Certificate.Subject.CommonName}}"))
    iot.create_policy(policyName=name, policyDocument=document)
    status, _, answer = node.request("iot", "POST", f"/policies/{name}", {"policyDocument": document})
    answer = json.loads(answer)
    assert (status, answer["resourceId"], answer["resourceArn"]) == (409, name, f"{IOT}:policy/{name}")
    iot.attach_policy(policyName=name, target=made["certificateArn"])
    assert link(node, name, made["certificatePem"], key_pem(key)).reason == 0
    assert link(node, name + "-x", made["certificatePem"], key_pem(key)).reason == NOT_AUTHORIZED


def test_a_request_that_is_none_or_weak_is_refused(node, name):
    iot = node.iot()
    _, request = signing_request(name)
    _, weak = signing_request(name, rsa.generate_private_key(65537, 1024))
    forged = request.replace(request.splitlines()[2], request.splitlines()[2][::-1])
    for broken, why in ((weak, "1024"), ("x", "PEM"), (forged, "not valid")):
        with refused("InvalidRequestException", 400, why):
            iot.create_certificate_from_csr(certificateSigningRequest=broken)


def test_a_certificate_is_registered_without_an_authority(node, name, link):
    iot = node.iot()
    pem, key = Authority("nobody knows").sign(name)
    made = plain(iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE"))
    der = ssl.PEM_cert_to_DER_cert(pem)
    assert made["certificateId"] == hashlib.sha256(der).hexdigest()
    assert described(node, made["certificateId"])["certificateMode"] == "SNI_ONLY"
    with refused("ResourceAlreadyExistsException", 409, "already"):
        iot.register_certificate_without_ca(certificatePem=pem)
    with refused("CertificateValidationException", 400, "PEM"):
        iot.register_certificate_without_ca(certificatePem="x")
    iot.create_policy(policyName=name, policyDocument=EVERYTHING)
    iot.attach_policy(policyName=name, target=made["certificateArn"])
    assert link(node, name, pem, key_pem(key)).reason == 0


def test_certificates_cannot_be_transferred(node):
    made = node.iot().create_keys_and_certificate()["certificateId"]
    with pytest.raises(ClientError, match="TransferCertificate"):
        node.iot().transfer_certificate(certificateId=made, targetAwsAccount="1" * 12)


# ---- authorities ---------------------------------------------------------------------------------


def test_an_authority_is_registered_with_proof_of_its_key(own_node, name):
    iot = own_node.iot()
    code = iot.get_registration_code()["registrationCode"]
    assert re.fullmatch("[0-9a-f]{64}", code)
    assert iot.get_registration_code()["registrationCode"] == code
    own, other = Authority(name), Authority(name)
    wrong_name, _ = own.sign("something else")
    with refused("RegistrationCodeValidationException", 400, "code"):
        iot.register_ca_certificate(caCertificate=own.pem, verificationCertificate=wrong_name)
    wrong_key, _ = other.sign(code)
    with refused("CertificateValidationException", 400, "signed"):
        iot.register_ca_certificate(caCertificate=own.pem, verificationCertificate=wrong_key)
    no_authority, _ = own.sign(name)
    with refused("CertificateValidationException", 400, "basic constraints|signed"):
        iot.register_ca_certificate(caCertificate=no_authority, certificateMode="SNI_ONLY")
    with refused("InvalidRequestException", 400, "verificationCertificate"):
        iot.register_ca_certificate(caCertificate=own.pem)
    made = own.register(own_node, setAsActive=True)
    with refused("ResourceAlreadyExistsException", 409, "already"):
        own.register(own_node)
    found = iot.describe_ca_certificate(certificateId=made)["certificateDescription"]
    assert found["certificateArn"] == f"{IOT}:cacert/{made}"
    assert (found["status"], found["autoRegistrationStatus"]) == ("ACTIVE", "DISABLE")
    assert (found["certificateMode"], found["certificatePem"]) == ("DEFAULT", own.pem)
    listed = iot.list_ca_certificates()["certificates"]
    assert [item["certificateId"] for item in listed] == [made]
    iot.delete_registration_code()
    assert iot.get_registration_code()["registrationCode"] != code
    own_node.restart()
    iot = own_node.iot()
    with refused("CertificateStateException", 406, "ACTIVE"):
        iot.delete_ca_certificate(certificateId=made)
    iot.update_ca_certificate(certificateId=made, newStatus="INACTIVE")
    iot.delete_ca_certificate(certificateId=made)
    with refused("ResourceNotFoundException", 404, made):
        iot.describe_ca_certificate(certificateId=made)


def test_certificates_of_a_registered_authority_are_registered(node, name):
    iot = node.iot()
    own = Authority(name)
    pem, _ = own.sign(name)
    with refused("CertificateValidationException", 400, "registered CA"):
        iot.register_certificate(certificatePem=pem)
    authority = own.register(node)
    with refused("CertificateStateException", 406, "ACTIVE"):
        iot.register_certificate(certificatePem=pem)
    iot.update_ca_certificate(certificateId=authority, newStatus="ACTIVE")
    impostor = Authority(name)
    forged, _ = impostor.sign(name)
    with refused("CertificateValidationException", 400, "signed"):
        iot.register_certificate(certificatePem=forged)
    made = iot.register_certificate(certificatePem=pem, caCertificatePem=own.pem, status="ACTIVE")
    made = made["certificateId"]
    found = described(node, made)
    assert (found["caCertificateId"], found["status"]) == (authority, "ACTIVE")
    listed = iot.list_certificates_by_ca(caCertificateId=authority)["certificates"]
    assert [item["certificateId"] for item in listed] == [made]
    iot.update_certificate(certificateId=made, newStatus="INACTIVE")
    iot.delete_certificate(certificateId=made)
    assert iot.list_certificates_by_ca(caCertificateId=authority)["certificates"] == []


def test_two_authorities_with_one_key_must_be_told_apart(node, name):
    iot = node.iot()
    first = Authority(name)
    second = Authority(name, first.key)
    for authority in (first, second):
        authority.register(node, setAsActive=True)
    pem, _ = first.sign(name)
    with refused("CertificateConflictException", 409, "caCertificatePem"):
        iot.register_certificate(certificatePem=pem)
    made = iot.register_certificate(certificatePem=pem, caCertificatePem=second.pem)
    assert made["certificateId"]


# ---- certificates that register themselves -------------------------------------------------------


def certificate_id(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def test_a_certificate_registers_itself_when_it_first_connects(node, name, link, device):
    iot = node.iot()
    own = Authority(name)
    authority = own.register(node, setAsActive=True, allowAutoRegistration=True)
    watcher = device(node, f"{name}-watcher").connect()
    watcher.subscribe(f"$aws/events/certificates/registered/{authority}")
    pem, key = own.sign(name)
    made = certificate_id(pem)
    for _ in range(2):
        assert link(node, name, pem, key_pem(key)).reason == NOT_AUTHORIZED
    event = json.loads(watcher.message().payload)
    found = described(node, made)
    assert (found["status"], found["caCertificateId"]) == ("PENDING_ACTIVATION", authority)
    assert ssl.PEM_cert_to_DER_cert(found["certificatePem"]) == ssl.PEM_cert_to_DER_cert(pem)
    registered = found["creationDate"].timestamp() * 1000
    assert abs(int(event.pop("certificateRegistrationTimestamp")) - registered) < 1000
    assert event.pop("timestamp") > 0
    assert event == {
        "certificateId": made,
        "caCertificateId": authority,
        "certificateStatus": "PENDING_ACTIVATION",
        "awsAccountId": ACCOUNT,
    }
    iot.update_certificate(certificateId=made, newStatus="ACTIVE")
    assert link(node, name, pem, key_pem(key)).reason == NOT_AUTHORIZED, "it has no policy"
    iot.create_policy(policyName=name, policyDocument=EVERYTHING)
    iot.attach_policy(policyName=name, target=found["certificateArn"])
    assert link(node, name, pem, key_pem(key)).reason == 0
    with pytest.raises(queue.Empty):
        watcher.message(seconds=0.5)


def test_a_rule_sees_which_certificate_has_registered_itself(node, name, link, device):
    own = Authority(name)
    authority = own.register(node, setAsActive=True, allowAutoRegistration=True)
    watcher = device(node, f"{name}-watcher").connect()
    watcher.subscribe(f"{name}/new")
    topic = f"$aws/events/certificates/registered/{authority}"
    republish = {"republish": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "topic": f"{name}/new"}}
    node.iot().create_topic_rule(
        ruleName=name.replace("-", "_"),
        topicRulePayload={
            "sql": f"SELECT certificateId AS it FROM '{topic}'",
            "actions": [republish],
        },
    )
    pem, key = own.sign(name)
    assert link(node, name, pem, key_pem(key)).reason == NOT_AUTHORIZED
    assert json.loads(watcher.message().payload) == {"it": certificate_id(pem)}


@pytest.fixture
def https_node(tmp_path):
    made = Node(tmp_path / "data", ["--https", "127.0.0.1:0"])
    yield made
    made.kill()


def test_a_certificate_registers_itself_when_it_first_publishes_over_https(https_node, name, tmp_path):
    node, own = https_node, Authority(name)
    own.register(node, setAsActive=True, allowAutoRegistration=True)
    pem, key = own.sign(name)
    (tmp_path / "both.pem").write_text(pem + key_pem(key))
    context = ssl.create_default_context(cafile=str(node.folder / "ca.pem"))
    context.load_cert_chain(str(tmp_path / "both.pem"))
    connection = http.client.HTTPSConnection("localhost", node.https_port, context=context)
    connection.request("POST", f"/topics/{name}?qos=1", body="x")
    assert connection.getresponse().status == 403
    connection.close()
    assert described(node, certificate_id(pem))["status"] == "PENDING_ACTIVATION"


@pytest.mark.parametrize("why", ["not let", "not active", "no more let", "forged", "unknown"])
def test_a_certificate_does_not_register_itself_unasked(node, name, link, why):
    iot = node.iot()
    own = Authority(name)
    if why != "unknown":
        options = {"setAsActive": why != "not active", "allowAutoRegistration": why != "not let"}
        authority = own.register(node, **options)
    if why == "no more let":
        iot.update_ca_certificate(certificateId=authority, removeAutoRegistration=True)
    signer = Authority(name) if why == "forged" else own
    pem, key = signer.sign(name)
    assert link(node, name, pem, key_pem(key)).reason == NOT_AUTHORIZED
    with refused("ResourceNotFoundException", 404, certificate_id(pem)):
        iot.describe_certificate(certificateId=certificate_id(pem))


# ---- policies ------------------------------------------------------------------------------------


def test_a_policy_has_five_versions_and_one_that_counts(node, name):
    iot = node.iot()
    iot.create_policy(policyName=name, policyDocument=EVERYTHING)
    other = policy(allow("iot:Connect"))
    made = plain(iot.create_policy_version(policyName=name, policyDocument=other))
    assert made == {
        "policyArn": f"{IOT}:policy/{name}",
        "policyDocument": other,
        "policyVersionId": "2",
        "isDefaultVersion": False,
    }
    iot.create_policy_version(policyName=name, policyDocument=other, setAsDefault=True)
    for _ in range(2):
        iot.create_policy_version(policyName=name, policyDocument=EVERYTHING)
    with refused("VersionsLimitExceededException", 409, "5"):
        iot.create_policy_version(policyName=name, policyDocument=other)
    versions = iot.list_policy_versions(policyName=name)["policyVersions"]
    assert [item["versionId"] for item in versions] == ["5", "4", "3", "2", "1"]
    assert [item["versionId"] for item in versions if item["isDefaultVersion"]] == ["3"]
    found = iot.get_policy(policyName=name)
    assert (found["defaultVersionId"], found["policyDocument"]) == ("3", other)
    found = iot.get_policy_version(policyName=name, policyVersionId="1")
    assert (found["isDefaultVersion"], found["policyDocument"]) == (False, EVERYTHING)
    with refused("DeleteConflictException", 409, "default"):
        iot.delete_policy_version(policyName=name, policyVersionId="3")
    with refused("DeleteConflictException", 409, "version"):
        iot.delete_policy(policyName=name)
    iot.set_default_policy_version(policyName=name, policyVersionId="1")
    for version in "2345":
        iot.delete_policy_version(policyName=name, policyVersionId=version)
    with refused("ResourceNotFoundException", 404, name):
        iot.get_policy_version(policyName=name, policyVersionId="2")
    made = iot.create_policy_version(policyName=name, policyDocument=other)
    assert made["policyVersionId"] == "6", "numbers are not used again"
    iot.delete_policy_version(policyName=name, policyVersionId="6")
    iot.delete_policy(policyName=name)


def test_policies_are_attached_to_certificates_and_groups(node, name):
    iot = node.iot()
    certificate = iot.create_keys_and_certificate()["certificateArn"]
    group = iot.create_thing_group(thingGroupName=name)["thingGroupArn"]
    iot.create_policy(policyName=name, policyDocument=EVERYTHING)
    for target in (certificate, group):
        iot.attach_policy(policyName=name, target=target)
        attached = iot.list_attached_policies(target=target)["policies"]
        assert attached == [{"policyName": name, "policyArn": f"{IOT}:policy/{name}"}]
    targets = iot.list_targets_for_policy(policyName=name)["targets"]
    assert sorted(targets) == sorted([certificate, group])
    assert iot.list_policy_principals(policyName=name)["principals"] == [certificate]
    assert iot.list_principal_policies(principal=certificate)["policies"][0]["policyName"] == name
    with refused("DeleteConflictException", 409, name):
        iot.delete_policy(policyName=name)
    iot.detach_principal_policy(policyName=name, principal=certificate)
    iot.attach_principal_policy(policyName=name, principal=certificate)
    for target in (certificate, group):
        iot.detach_policy(policyName=name, target=target)
        assert iot.list_attached_policies(target=target)["policies"] == []
    with refused("ResourceNotFoundException", 404, "nowhere"):
        iot.attach_policy(policyName=name, target=f"{IOT}:thinggroup/nowhere")
    iot.delete_policy(policyName=name)


def test_at_most_ten_policies_are_attached(node, name):
    iot = node.iot()
    certificate = iot.create_keys_and_certificate()["certificateArn"]
    for number in range(11):
        iot.create_policy(policyName=f"{name}-{number}", policyDocument=EVERYTHING)
    for number in range(10):
        iot.attach_policy(policyName=f"{name}-{number}", target=certificate)
    with refused("LimitExceededException", 410, "10"):
        iot.attach_policy(policyName=f"{name}-10", target=certificate)


def test_a_malformed_policy_is_refused_with_place_and_hint(node, name):
    document = policy(allow(["iot:Connect", "iot:Subscrib"]))
    told = r"at Statement\[0\]\.Action\[1\]: `iot:Subscrib` is no action; hint: .*`iot:Subscribe`"
    with refused("MalformedPolicyException", 400, told):
        node.iot().create_policy(policyName=name, policyDocument=document)
    node.iot().create_policy(policyName=name, policyDocument=EVERYTHING)
    with refused("MalformedPolicyException", 400, told):
        node.iot().create_policy_version(policyName=name, policyDocument=document)


def test_groups_give_their_policies_to_things_below(node, name):
    iot = node.iot()
    above = iot.create_thing_group(thingGroupName=f"{name}-above")["thingGroupArn"]
    below = iot.create_thing_group(thingGroupName=f"{name}-below", parentGroupName=f"{name}-above")
    below = below["thingGroupArn"]
    iot.create_thing(thingName=name)
    iot.add_thing_to_thing_group(thingName=name, thingGroupName=f"{name}-below")
    certificate = Identity(node, name, policy(allow("iot:Connect"))).arn
    iot.attach_thing_principal(thingName=name, principal=certificate)
    iot.create_policy(policyName=f"{name}-g", policyDocument=policy(allow("iot:Publish")))
    iot.attach_policy(policyName=f"{name}-g", target=above)

    def names(found):
        return sorted(item["policyName"] for item in found)

    assert iot.list_attached_policies(target=below)["policies"] == []
    assert names(iot.list_attached_policies(target=below, recursive=True)["policies"]) == [f"{name}-g"]
    effective = iot.get_effective_policies(principal=certificate, thingName=name)
    assert names(effective["effectivePolicies"]) == [name, f"{name}-g"]
    assert effective["effectivePolicies"][0]["policyDocument"] == policy(allow("iot:Connect"))
    alone = iot.get_effective_policies(principal=certificate)["effectivePolicies"]
    assert names(alone) == [name]


def test_authorization_is_tested_before_a_device_does(node, name):
    iot = node.iot()
    own = f"{IOT}:topic/{name}/${{iot:Connection.Thing.ThingName}}"
    document = policy(allow("iot:Publish", own), deny("iot:Publish", f"{IOT}:topic/secret/*"))
    certificate = Identity(node, name, document).arn
    iot.create_thing(thingName=name)
    iot.attach_thing_principal(thingName=name, principal=certificate)
    topics = [f"{name}/{name}", "secret/x", "elsewhere"]
    infos = [{"actionType": "PUBLISH", "resources": [f"{IOT}:topic/{topic}"]} for topic in topics]
    results = iot.test_authorization(principal=certificate, clientId=name, authInfos=infos)
    results = results["authResults"]
    decisions = [result["authDecision"] for result in results]
    assert decisions == ["ALLOWED", "EXPLICIT_DENY", "IMPLICIT_DENY"]
    it = [{"policyName": name, "policyArn": f"{IOT}:policy/{name}"}]
    assert results[0]["allowed"]["policies"] == it
    assert results[1]["denied"]["explicitDeny"]["policies"] == it
    assert results[2]["denied"]["implicitDeny"]["policies"] == it
    assert results[0]["missingContextValues"] == []
    unknown = iot.test_authorization(principal=certificate, authInfos=infos[:1])["authResults"][0]
    assert unknown["authDecision"] == "IMPLICIT_DENY"
    assert unknown["missingContextValues"] == ["iot:Connection.Thing.ThingName"]
    iot.create_policy(policyName=f"{name}-more", policyDocument=EVERYTHING)
    added = iot.test_authorization(
        principal=certificate, authInfos=infos[2:], policyNamesToAdd=[f"{name}-more"]
    )
    assert added["authResults"][0]["authDecision"] == "ALLOWED"
    skipped = iot.test_authorization(
        principal=certificate, authInfos=infos[1:2], policyNamesToSkip=[name]
    )
    assert skipped["authResults"][0]["authDecision"] == "IMPLICIT_DENY"
    with refused("InvalidRequestException", 400, "topicfilter"):
        wrong = [{"actionType": "SUBSCRIBE", "resources": [f"{IOT}:topic/a"]}]
        iot.test_authorization(principal=certificate, authInfos=wrong)


# ---- things of a certificate ---------------------------------------------------------------------


def test_a_certificate_belongs_to_one_thing_exclusively(node, name):
    iot = node.iot()
    certificate = iot.create_keys_and_certificate()["certificateArn"]
    for number in (1, 2):
        iot.create_thing(thingName=f"{name}-{number}")
    exclusive = {"thingPrincipalType": "EXCLUSIVE_THING"}
    iot.attach_thing_principal(thingName=f"{name}-1", principal=certificate, **exclusive)
    with refused("InvalidRequestException", 400, "exclusively"):
        iot.attach_thing_principal(thingName=f"{name}-2", principal=certificate)
    found = iot.list_principal_things_v2(principal=certificate)["principalThingObjects"]
    assert found == [{"thingName": f"{name}-1", **exclusive}]
    found = iot.list_thing_principals_v2(thingName=f"{name}-1", **exclusive)
    assert found["thingPrincipalObjects"] == [{"principal": certificate, **exclusive}]
    none = iot.list_thing_principals_v2(
        thingName=f"{name}-1", thingPrincipalType="NON_EXCLUSIVE_THING"
    )
    assert none["thingPrincipalObjects"] == []
    iot.attach_thing_principal(thingName=f"{name}-1", principal=certificate)
    iot.attach_thing_principal(thingName=f"{name}-2", principal=certificate)
    with refused("InvalidRequestException", 400, "exclusively"):
        iot.attach_thing_principal(thingName=f"{name}-2", principal=certificate, **exclusive)


def test_presence_names_only_an_exclusive_thing(node, name, link, device):
    iot = node.iot()
    watcher = device(node, f"{name}-watcher").connect()
    watcher.subscribe("$aws/events/presence/connected/+")
    identity = Identity(node, name)
    iot.create_thing(thingName=name)
    iot.attach_thing_principal(thingName=name, principal=identity.arn)
    link(node, name, identity.pem, identity.key).close()
    event = json.loads(watcher.message().payload)
    assert event["clientId"] == name and "thingName" not in event
    assert event["principalIdentifier"] == identity.id
    exclusive = {"thingPrincipalType": "EXCLUSIVE_THING"}
    iot.attach_thing_principal(thingName=name, principal=identity.arn, **exclusive)
    link(node, f"{name}-any", identity.pem, identity.key).close()
    event = json.loads(watcher.message().payload)
    assert (event["clientId"], event["thingName"]) == (f"{name}-any", name)


def test_variables_of_an_exclusive_thing_need_no_client_id_of_its_name(node, name, link):
    iot = node.iot()
    own = f"{IOT}:topic/{name}/${{iot:Connection.Thing.ThingName}}"
    identity = Identity(node, name, policy(allow("iot:Connect"), allow("iot:Publish", own)))
    iot.create_thing(thingName=name)
    exclusive = {"thingPrincipalType": "EXCLUSIVE_THING"}
    iot.attach_thing_principal(thingName=name, principal=identity.arn, **exclusive)
    connected = link(node, f"{name}-other", identity.pem, identity.key)
    assert connected.publish(f"{name}/{name}") in (0, 0x10)
    assert connected.publish(f"{name}/{name}-other") == NOT_AUTHORIZED


# ---- rights that change --------------------------------------------------------------------------


def test_what_a_connect_asks_for_is_checked(node, name, link):
    attributes = {"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["PersistentConnect"]}}
    document = policy(allow("iot:Connect", Condition=attributes), allow("iot:Publish"))
    identity = Identity(node, name, document)
    assert link(node, name, identity.pem, identity.key).reason == 0
    will = ("gone", "x", 1, False)
    assert link(node, name, identity.pem, identity.key, will=will).reason == NOT_AUTHORIZED


CHANGES = {
    "revoked": lambda iot, it, name: iot.update_certificate(
        certificateId=it.id, newStatus="REVOKED"
    ),
    "inactive": lambda iot, it, name: iot.update_certificate(
        certificateId=it.id, newStatus="INACTIVE"
    ),
    "detached": lambda iot, it, name: iot.detach_policy(policyName=name, target=it.arn),
    "changed": lambda iot, it, name: iot.create_policy_version(
        policyName=name, policyDocument=policy(allow("iot:Publish")), setAsDefault=True
    ),
    "denied": lambda iot, it, name: (
        iot.create_policy(policyName=f"{name}-no", policyDocument=policy(deny("iot:Connect"))),
        iot.attach_policy(policyName=f"{name}-no", target=it.arn),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_may_not_be_connected_any_more_is_cut_off_at_once(
    node, name, link, device, change
):
    watcher = device(node, f"{name}-watcher").connect()
    watcher.subscribe(f"$aws/events/presence/disconnected/{name}")
    identity = Identity(node, name)
    connected = link(node, name, identity.pem, identity.key)
    bystander = link(node, f"{name}-b", *(lambda b: (b.pem, b.key))(Identity(node, f"{name}-b")))
    begun = time.monotonic()
    CHANGES[change](node.iot(), identity, name)
    reason, at = connected.ends.get(timeout=PATIENCE)
    assert reason == NOT_AUTHORIZED
    # On a machine that does other things.
    assert at - begun < 4
    event = json.loads(watcher.message().payload)
    assert (event["disconnectReason"], event["clientId"]) == ("AUTH_ERROR", name)
    assert bystander.subscribe("x") == 1
    assert link(node, name, identity.pem, identity.key).reason == NOT_AUTHORIZED


def test_a_detached_thing_takes_the_rights_that_came_with_it(node, name, link):
    iot = node.iot()
    attached = {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    identity = Identity(node, name, policy(allow("iot:*", Condition=attached)))
    iot.create_thing(thingName=name)
    iot.attach_thing_principal(thingName=name, principal=identity.arn)
    connected = link(node, name, identity.pem, identity.key)
    assert connected.reason == 0
    iot.detach_thing_principal(thingName=name, principal=identity.arn)
    assert connected.ends.get(timeout=PATIENCE)[0] == NOT_AUTHORIZED


def test_a_group_gives_and_takes_the_right_to_connect(node, name, link):
    iot = node.iot()
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_thing(thingName=name)
    iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
    group = iot.create_thing_group(thingGroupName=name)["thingGroupArn"]
    iot.create_policy(policyName=name, policyDocument=EVERYTHING)
    iot.attach_policy(policyName=name, target=group)
    pem, key = made["certificatePem"], made["keyPair"]["PrivateKey"]
    assert link(node, name, pem, key).reason == NOT_AUTHORIZED
    iot.add_thing_to_thing_group(thingName=name, thingGroupName=name)
    connected = link(node, name, pem, key)
    assert connected.reason == 0
    iot.remove_thing_from_thing_group(thingName=name, thingGroupName=name)
    assert connected.ends.get(timeout=PATIENCE)[0] == NOT_AUTHORIZED


def test_what_a_connected_device_may_do_follows_its_policy(node, name, link):
    iot = node.iot()
    narrow = policy(allow("iot:Connect"), allow("iot:Subscribe"), allow("iot:Receive", f"{IOT}:topic/{name}/a"))
    identity = Identity(node, name, narrow)
    connected = link(node, name, identity.pem, identity.key)
    assert connected.subscribe(f"{name}/#") == 1
    data = node.client("iot-data")
    for topic in ("b", "a"):
        data.publish(topic=f"{name}/{topic}", qos=1, payload=topic)
    assert connected.messages.get(timeout=PATIENCE).payload == b"a"
    iot.create_policy_version(policyName=name, policyDocument=EVERYTHING, setAsDefault=True)
    data.publish(topic=f"{name}/b", qos=1, payload="b")
    assert connected.messages.get(timeout=PATIENCE).payload == b"b"
    assert connected.publish(f"{name}/c") in (0, 0x10)
    iot.set_default_policy_version(policyName=name, policyVersionId="1")
    assert connected.publish(f"{name}/c") == NOT_AUTHORIZED
    assert connected.ends.empty(), "it may still be connected"


def test_rights_are_the_same_after_a_restart(own_node, name, link):
    identity = Identity(own_node, name)
    assert link(own_node, name, identity.pem, identity.key).reason == 0
    own_node.iot().update_certificate(certificateId=identity.id, newStatus="REVOKED")
    own_node.restart()
    assert described(own_node, identity.id)["status"] == "REVOKED"
    assert described(own_node, identity.id)["certificatePem"] == identity.pem
    assert link(own_node, name, identity.pem, identity.key).reason == NOT_AUTHORIZED


# ---- the AWS CLI ---------------------------------------------------------------------------------


def test_the_cli_makes_and_revokes_a_certificate(aws, name, tmp_path):
    _, request = signing_request(name)
    file = tmp_path / "request.pem"
    file.write_text(request)
    status, made, errors = aws(
        "iot", "create-certificate-from-csr", "--certificate-signing-request", f"file://{file}"
    )
    assert status == 0, errors
    certificate = json.loads(made)["certificateId"]
    for arguments in (
        ["update-certificate", "--certificate-id", certificate, "--new-status", "REVOKED"],
        ["create-policy", "--policy-name", name, "--policy-document", EVERYTHING],
        ["list-policy-versions", "--policy-name", name],
        ["get-registration-code"],
    ):
        status, _, errors = aws("iot", *arguments)
        assert status == 0, errors
