// Prints who a profile is, as the AWS SDK for JavaScript resolves it: node identity.cjs PROFILE ENDPOINT
const { fromIni } = require("@aws-sdk/credential-providers");
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");

async function main([profile, endpoint]) {
  const credentials = await fromIni({ profile })();
  const client = new STSClient({ credentials, endpoint, region: "eu-west-1" });
  const { Arn } = await client.send(new GetCallerIdentityCommand({}));
  const { accessKeyId: AccessKeyId, expiration: Expiration } = credentials;
  console.log(JSON.stringify({ Arn, AccessKeyId, Expiration }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
});
