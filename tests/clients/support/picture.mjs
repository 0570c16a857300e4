// A picture of any size, as a PNG.

import { crc32, deflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TRUE_COLOUR_8_BIT = [8, 2, 0, 0, 0];

/** A sky that gets redder towards the ground. */
export function picture(width, height) {
    const rows = Array.from({ length: height }, (_, y) => {
        const pixel = [Math.round((255 * y) / height), 96, Math.round(255 - (255 * y) / height)];
        return Buffer.from([0, ...Array.from({ length: width }, () => pixel).flat()]);
    });
    const header = Buffer.concat([number(width), number(height), Buffer.from(TRUE_COLOUR_8_BIT)]);
    const chunks = [chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))];
    return Buffer.concat([SIGNATURE, ...chunks]);
}

function chunk(name, content) {
    const named = Buffer.concat([Buffer.from(name, "latin1"), content]);
    return Buffer.concat([number(content.length), named, number(crc32(named))]);
}

function number(value) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
}
