import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';

const iot = new IoTDataPlaneClient({});

export const handler = async ({ thingName, operationId, degrees }) => {
  const request = { name: 'SET_TEMPERATURE', operationId, degrees };
  const topic = `thermostats/${thingName}/requests`;
  await iot.send(new PublishCommand({ topic, qos: 1, payload: JSON.stringify(request) }));
  console.log(`sent ${degrees} degrees to ${topic}`);
  return { thingName, operationId };
};
