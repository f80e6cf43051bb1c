import { access, readFile, writeFile } from 'node:fs/promises';
import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateKeysAndCertificateCommand,
  CreateThingCommand,
  IoTClient,
} from '@aws-sdk/client-iot';

const exists = (file) =>
  access(file).then(
    () => true,
    () => false,
  );

/** The thing's certificate and key, made and registered the first time. */
export const identity = async ({ thingName, policyName, region }) => {
  const files = { cert: `${thingName}.pem`, key: `${thingName}.key` };
  if (!(await exists(files.cert)) || !(await exists(files.key))) {
    const iot = new IoTClient({ region });
    await iot.send(new CreateThingCommand({ thingName, attributePayload: { attributes: { owner: 'ada' } } }));
    const made = await iot.send(new CreateKeysAndCertificateCommand({ setAsActive: true }));
    await iot.send(new AttachPolicyCommand({ policyName, target: made.certificateArn }));
    await iot.send(new AttachThingPrincipalCommand({ thingName, principal: made.certificateArn }));
    await writeFile(files.key, made.keyPair.PrivateKey, { mode: 0o600 });
    await writeFile(files.cert, made.certificatePem);
  }
  return { cert: await readFile(files.cert), key: await readFile(files.key) };
};
