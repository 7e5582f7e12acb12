// Another JPEG of a picture, with colours at a quarter of its pixels, as telephones write it: `node coarse.js PICTURE INTO`.

import sharp from 'sharp';

const [picture, into] = process.argv.slice(2);
await sharp(picture).jpeg({ quality: 90, chromaSubsampling: '4:2:0' }).toFile(into);
