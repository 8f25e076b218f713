// Print, as JSON, what openclient reads of each image: NODE_MODULES BASE TOKEN ID [ID ...].

const [modules, base, token, ...ids] = process.argv.slice(2);
const openclient = require(`${modules}/openclient`);
const Glance = openclient.getAPI("openstack", "image", "1.0");
const client = new Glance({ url: base, scoped_token: { id: token }, log_level: "critical" });
const shown = {};

for (const id of ids) {
  client.images.get({ id }, (error, image) => {
    shown[id] = error ? error.status : image;
    if (Object.keys(shown).length === ids.length) console.log(JSON.stringify(shown));
  });
}
