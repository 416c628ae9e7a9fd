import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { openSafetensors, type SafetensorsReadOptions } from '../../lib/adapter/safetensors-reader.js';
import { expectRefusal } from './refusals.js';
import { fileOf, floatBytes, member, withDirectory, withFile } from './safetensors-vectors.js';

async function open(path: string, options?: SafetensorsReadOptions): Promise<void> {
  await (await openSafetensors(path, options)).close();
}

const four = new Uint8Array(4);
const eight = new Uint8Array(8);

interface Vector {
  readonly what: string;
  readonly code: string;
  readonly bytes: Uint8Array;
  readonly message?: readonly string[];
  readonly options?: SafetensorsReadOptions;
}

const good = member('w', 'F32', [1], 0, 4);

const VECTORS: readonly Vector[] = [
  { what: 'an empty file', code: 'safetensors.too-short', bytes: new Uint8Array(0) },
  { what: 'a file of seven bytes', code: 'safetensors.too-short', bytes: new Uint8Array(7) },
  {
    what: 'a header length of 2^64 - 1',
    code: 'safetensors.header-too-large',
    bytes: fileOf('{}', undefined, 2n ** 64n - 1n),
    message: ['18446744073709551615'],
  },
  {
    what: 'a header length above the ceiling, though the file is that long',
    code: 'safetensors.header-too-large',
    bytes: fileOf(`{}${' '.repeat(63)}`),
    options: { maxHeaderBytes: 64 },
  },
  {
    what: 'a header length above 16 MiB by default',
    code: 'safetensors.header-too-large',
    bytes: fileOf('{}', undefined, 16n * 1024n * 1024n + 1n),
  },
  {
    what: 'a header that would end beyond the file',
    code: 'safetensors.header-beyond-file',
    bytes: fileOf('{}', undefined, 3n),
  },
  { what: 'a header of length 0', code: 'safetensors.header-json', bytes: fileOf('') },
  {
    what: 'a header that is not UTF-8',
    code: 'safetensors.header-encoding',
    bytes: fileOf(Buffer.from('{"\xff":1}', 'latin1')),
  },
  { what: 'a byte order mark', code: 'safetensors.header-json', bytes: fileOf('\ufeff{}') },
  { what: 'whitespace before the header', code: 'safetensors.header-json', bytes: fileOf(' {}') },
  { what: 'a header that is an array', code: 'safetensors.header-json', bytes: fileOf('[]') },
  { what: 'a header that ends early', code: 'safetensors.header-json', bytes: fileOf('{"w":') },
  { what: 'something after the header object', code: 'safetensors.header-json', bytes: fileOf('{} {}') },
  { what: 'a trailing comma', code: 'safetensors.header-json', bytes: fileOf(`{${good},}`, four) },
  { what: 'zeros as padding', code: 'safetensors.header-json', bytes: fileOf('{}\0\0\0\0\0\0') },
  { what: 'a tensor that is a number', code: 'safetensors.header-json', bytes: fileOf('{"w":1}') },
  {
    what: 'two tensors of one name',
    code: 'safetensors.duplicate-key',
    bytes: fileOf(`{${good},${member('w', 'F32', [1], 4, 8)}}`, eight),
    message: ['"w"'],
  },
  {
    what: 'two tensors of one name, one of them escaped',
    code: 'safetensors.duplicate-key',
    bytes: fileOf(`{${good},${member('w', 'F32', [1], 4, 8).replace('"w"', '"\\u0077"')}}`, eight),
  },
  {
    what: 'a field that occurs twice in a tensor',
    code: 'safetensors.duplicate-key',
    bytes: fileOf('{"w":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', four),
    message: ['"dtype"'],
  },
  {
    what: 'a metadata key that occurs twice',
    code: 'safetensors.duplicate-key',
    bytes: fileOf('{"__metadata__":{"format":"pt","format":"np"}}'),
  },
  {
    what: 'metadata that occurs twice',
    code: 'safetensors.duplicate-key',
    bytes: fileOf('{"__metadata__":{},"__metadata__":{}}'),
  },
  {
    what: 'a metadata value that is a number',
    code: 'safetensors.metadata-invalid',
    bytes: fileOf('{"__metadata__":{"step":1}}'),
  },
  {
    what: 'a metadata value that is an object',
    code: 'safetensors.metadata-invalid',
    bytes: fileOf('{"__metadata__":{"step":{}}}'),
  },
  {
    what: 'metadata that is null',
    code: 'safetensors.metadata-invalid',
    bytes: fileOf('{"__metadata__":null}'),
  },
  {
    what: 'an unknown field',
    code: 'safetensors.unknown-field',
    bytes: fileOf('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}}', four),
    message: ['"w"', '"strides"'],
  },
  ...['dtype', 'shape', 'data_offsets'].map((field) => ({
    what: `a tensor without ${field}`,
    code: 'safetensors.missing-field',
    bytes: fileOf(
      `{"w":{${['"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,4]'].filter((part) => !part.includes(field)).join(',')}}}`,
      four,
    ),
    message: ['"w"'],
  })),
  ...['F64', 'I64', 'U8', 'BOOL', 'F8_E4M3', 'f32', 'constructor', '__proto__', ''].map((dtype) => ({
    what: `dtype "${dtype}"`,
    code: 'safetensors.dtype-unsupported',
    bytes: fileOf(`{${member('w', dtype, [1], 0, 8)}}`, eight),
    message: ['"w"', `"${dtype}"`],
  })),
  ...['[-1]', '[1.0]', '[1e0]', '[null]', '["1"]', '[9007199254740992]', '1', '[[1]]'].map((shape) => ({
    what: `the shape ${shape}`,
    code: 'safetensors.header-json',
    bytes: fileOf(`{"w":{"dtype":"F32","shape":${shape},"data_offsets":[0,4]}}`, four),
  })),
  {
    what: 'more than 64 dimensions',
    code: 'safetensors.shape-invalid',
    bytes: fileOf(`{${member('w', 'F32', Array(65).fill(1), 0, 4)}}`, four),
    message: ['"w"', '64'],
  },
  {
    what: 'a shape whose product wraps to the right size in 64 bits',
    code: 'safetensors.shape-overflow',
    bytes: fileOf(`{${member('w', 'F32', [2 ** 32, 2 ** 32], 0, 0)}}`),
  },
  {
    what: 'a shape whose size in bytes passes 2^53',
    code: 'safetensors.shape-overflow',
    bytes: fileOf(`{${member('w', 'F32', [2 ** 52], 0, 4)}}`, four),
  },
  {
    what: 'an overflowing shape that a zero would hide',
    code: 'safetensors.shape-overflow',
    bytes: fileOf(`{${member('w', 'F32', [0, 2 ** 40, 2 ** 40], 0, 0)}}`),
  },
  ...['[0]', '[]', '[0,4,4]'].map((offsets) => ({
    what: `the offsets ${offsets}`,
    code: 'safetensors.offsets-invalid',
    bytes: fileOf(`{"w":{"dtype":"F32","shape":[1],"data_offsets":${offsets}}}`, four),
  })),
  {
    what: 'a negative offset',
    code: 'safetensors.header-json',
    bytes: fileOf('{"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', four),
  },
  {
    what: 'a tensor that ends before it begins',
    code: 'safetensors.offsets-invalid',
    bytes: fileOf(`{${member('w', 'F32', [1], 4, 0)}}`, four),
  },
  {
    what: 'a tensor that ends beyond the file',
    code: 'safetensors.offsets-beyond-file',
    bytes: fileOf(`{${member('w', 'F32', [2], 0, 8)}}`, four),
    message: ['"w"', '8'],
  },
  {
    what: 'a tensor of a terabyte in a file of four bytes',
    code: 'safetensors.offsets-beyond-file',
    bytes: fileOf(`{${member('w', 'F32', [2 ** 38], 0, 2 ** 40)}}`, four),
  },
  {
    what: 'fewer bytes than the shape needs',
    code: 'safetensors.size-mismatch',
    bytes: fileOf(`{${member('w', 'F32', [2], 0, 4)}}`, four),
  },
  {
    what: 'more bytes than the shape needs',
    code: 'safetensors.size-mismatch',
    bytes: fileOf(`{${member('w', 'F16', [2], 0, 8)}}`, eight),
  },
  {
    what: 'two tensors on the same bytes',
    code: 'safetensors.overlap',
    bytes: fileOf(`{${good},${member('v', 'F32', [1], 0, 4)}}`, four),
  },
  {
    what: 'tensors that share half a value',
    code: 'safetensors.overlap',
    bytes: fileOf(`{${good},${member('v', 'F32', [1], 2, 6)}}`, eight.subarray(0, 6)),
  },
  {
    what: 'bytes before the first tensor',
    code: 'safetensors.hole',
    bytes: fileOf(`{${member('w', 'F32', [1], 4, 8)}}`, eight),
  },
  {
    what: 'bytes between two tensors',
    code: 'safetensors.hole',
    bytes: fileOf(`{${good},${member('v', 'F32', [1], 8, 12)}}`, new Uint8Array(12)),
  },
  {
    what: 'an empty tensor in the middle of nowhere',
    code: 'safetensors.hole',
    bytes: fileOf(`{${good},${member('v', 'F32', [0], 6, 6)}}`, eight),
  },
  {
    what: 'bytes after the last tensor',
    code: 'safetensors.trailing-bytes',
    bytes: fileOf(`{${good}}`, new Uint8Array(5)),
  },
  { what: 'data without any tensor', code: 'safetensors.trailing-bytes', bytes: fileOf('{}', four) },
];

describe('a safetensors file is refused for', () => {
  for (const { what, code, bytes, message, options } of VECTORS) {
    it(`${what} (${code})`, async () => {
      await withFile(bytes, async (path) => {
        await expectRefusal(() => open(path, options), code, ...(message ?? []));
      });
    });
  }

  it('being absent, a directory or a pipe', async () => {
    await withDirectory(async (directory) => {
      await expectRefusal(() => open(join(directory, 'none')), 'adapter.file-missing');
      await expectRefusal(() => open(directory), 'adapter.not-a-file');
      if (process.platform !== 'win32') {
        const pipe = join(directory, 'pipe');
        execFileSync('mkfifo', [pipe]);
        await expectRefusal(() => open(pipe), 'adapter.not-a-file');
      }
    });
  });

  it('any byte cut off its end, and any byte added', async () => {
    const whole = fileOf(`{${good}}`, floatBytes(1));
    await withFile(whole, open);
    for (let length = 0; length < whole.length; length++) {
      await withFile(whole.subarray(0, length), async (path) => {
        await expectRefusal(
          () => open(path),
          length < 8
            ? 'safetensors.too-short'
            : length < whole.length - 4
              ? 'safetensors.header-beyond-file'
              : 'safetensors.offsets-beyond-file',
        );
      });
    }
    await withFile(Buffer.concat([whole, Buffer.alloc(1)]), async (path) => {
      await expectRefusal(() => open(path), 'safetensors.trailing-bytes');
    });
  });

  it('reasons that do not depend on memory: refusing costs no allocation of the claimed size', async () => {
    const before = process.memoryUsage().arrayBuffers;
    await withFile(fileOf(`{${member('w', 'F32', [2 ** 38], 0, 2 ** 40)}}`, four), async (path) => {
      await expectRefusal(() => open(path), 'safetensors.offsets-beyond-file');
    });
    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(16 * 1024 * 1024);
  });
});
