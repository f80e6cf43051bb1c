// A thermostat: connects with its certificate, takes the settings it is sent, and says so.
//   node simulator.js            answers after two seconds
//   node simulator.js --silent   never answers
//   node simulator.js --once     ends after its first answer
import mqtt from 'mqtt';
import { config } from './config.js';
import { identity } from './identity.js';

const silent = process.argv.includes('--silent');
const once = process.argv.includes('--once');
const topics = `thermostats/${config.thingName}`;

const client = mqtt.connect({
  protocol: 'mqtts',
  host: config.iotEndpoint,
  port: config.port,
  clientId: config.thingName,
  clean: true,
  reconnectPeriod: 1000,
  ...(await identity(config)),
});

client.on('connect', () => {
  console.log(`${config.thingName} is connected`);
  client.subscribe(`${topics}/requests`);
});

client.on('message', (_topic, message) => {
  const { operationId, degrees } = JSON.parse(message);
  console.log(`asked for ${degrees} degrees`);
  if (silent) return;
  setTimeout(() => {
    const answer = JSON.stringify({ operationId, status: 'SUCCESS', degrees });
    client.publish(`${topics}/answers`, answer, { qos: 1 }, (error) => {
      console.log(error ? `not answered: ${error}` : 'answered');
      if (once) client.end();
    });
  }, 2000);
});

client.on('error', (error) => console.error(error.message));
