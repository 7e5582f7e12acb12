// Derived images by sharp, as bench/src/bin/thumbnails.rs derives them: `node sharp.js PICTURE COUNT AT_ONCE`.

import { readFileSync } from 'node:fs';
import sharp from 'sharp';

const [path, count, atOnce] = process.argv.slice(2);
const picture = readFileSync(path);
// One thread an image: the images are what runs at once.
sharp.concurrency(1);
sharp.cache(false);

async function develop() {
  await sharp(picture).autoOrient().resize(256, 256, { fit: 'cover' }).webp({ quality: 75 }).toBuffer();
  await sharp(picture)
    .autoOrient()
    .resize(1024, 1024, { fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 82 })
    .toBuffer();
}

await develop();
const began = process.hrtime.bigint();
let left = Number(count);
const one = async () => {
  while (left > 0) {
    left -= 1;
    await develop();
  }
};
await Promise.all(Array.from({ length: Number(atOnce) }, one));
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
// KiB at most. What resourceUsage tells of a process is at least what the one had that started it.
const peak = Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
const line = {
  peer: 'sharp',
  version: sharp.versions.sharp,
  images_per_second: Number(count) / seconds,
  peak_mib: Math.round(peak / 1024),
};
process.stdout.write(`${JSON.stringify(line)}\n`);
