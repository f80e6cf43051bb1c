// What the simulator must know of your account or node: `stepwire env --output js` prints it.
export const config = {
  iotEndpoint: process.env.IOT_ENDPOINT ?? 'localhost',
  port: Number(process.env.IOT_PORT ?? 8883),
  region: process.env.AWS_REGION ?? 'us-east-1',
  thingName: process.env.THING_NAME ?? 'thermostat-1',
  policyName: 'Thermostat',
};
