// Print, as JSON, what openclient finds by each name: NODE_MODULES BASE TOKEN NAME [NAME ...].

const [modules, base, token, ...names] = process.argv.slice(2);
const openclient = require(`${modules}/openclient`);
const Glance = openclient.getAPI("openstack", "image", "1.0");
const client = new Glance({ url: base, scoped_token: { id: token } });
const found = {};

for (const name of names) {
  // It puts a name into the URL as it is.
  const query = { name: encodeURIComponent(name) };
  client.images.all({ query }, (error, images) => {
    found[name] = error ? String(error) : images.map((image) => image.id);
    if (Object.keys(found).length === names.length) console.log(JSON.stringify(found));
  });
}
