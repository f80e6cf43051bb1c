// Stands for a third party's API: each owner wants another temperature, always the same.
export const handler = async ({ thingName, sessionIdentifier, thing }) => {
  const owner = thing.Attributes?.owner;
  if (!owner) {
    throw new Error(`the thing ${thingName} has no attribute "owner"`);
  }
  console.log(`settings of ${owner} for ${thingName}`);
  const degrees = 18 + ([...owner].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % 14) / 2;
  return { thingName, operationId: sessionIdentifier, degrees };
};
