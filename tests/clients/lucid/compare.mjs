// Sets the devnet's figures against those of Lucid Evolution's emulator: reads JSON lines of both from standard input
// and writes one line for each figure of the emulator's that the devnet has too.

import { text } from "node:stream/consumers";

const lines = (await text(process.stdin)).split("\n").filter((line) => line.startsWith("{"));
const rates = new Map(lines.map((line) => JSON.parse(line)).map((line) => [line.figure, line.per_second]));
for (const [figure, rate] of rates) {
  if (!figure.startsWith("emulator ")) continue;
  for (const side of ["core", "http"]) {
    const ours = rates.get(figure.replace("emulator", side));
    if (!ours) continue;
    const times = (ours / rate).toFixed(1);
    console.log(`${side} ${figure.slice("emulator ".length)}: ${ours.toFixed(0)}/s, ${times} times the emulator's ${rate.toFixed(0)}/s`);
  }
}
