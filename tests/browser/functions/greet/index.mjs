// Says hello, and what it was given.
export const handler = async (event) => {
  console.log('greeting', event.name);
  if (!event.name) throw new TypeError(`nobody to greet in ${JSON.stringify(event)}`);
  return { greeting: `hello ${event.name}` };
};
