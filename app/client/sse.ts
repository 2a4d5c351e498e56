/** One message of a stream of server-sent events (HTML living standard, 9.2.6). */
type SseMessage = {
  /** `message` where the stream does not say. */
  readonly event: string;
  readonly data: string;
};

/** What a piece of a stream says, in order: messages, and the last id and the pause before coming back as they change. */
export type SseItem =
  | { readonly kind: "message"; readonly message: SseMessage; readonly id: string }
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "retry"; readonly ms: number };

/** Characters that a line and a message may have; what is longer is from no service of ours. */
const longest = 16 * 1024 * 1024;

/**
 * Reads server-sent events out of pieces that are cut anywhere, also within a character's line end. Throws a RangeError
 * for a line or message that does not end.
 */
export function createSseParser(): (piece: string) => SseItem[] {
  let rest = "";
  let begun = false;
  let afterReturn = false;
  let [event, id] = ["", ""];
  let data: string[] | undefined;
  let size = 0;

  function field(name: string, value: string): SseItem[] {
    if (name === "event") event = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) return [{ kind: "retry", ms: Number(value) }];
    else if (name === "data") {
      data = [...(data ?? []), value];
      size += value.length;
      if (size > longest) throw new RangeError("a message of the stream is too long");
    }
    return [];
  }

  function dispatch(): SseItem[] {
    const [type, text] = [event === "" ? "message" : event, data];
    [event, data, size] = ["", undefined, 0];
    if (text === undefined) return id === "" ? [] : [{ kind: "id", id }];
    return [{ kind: "message", message: { event: type, data: text.join("\n") }, id }];
  }

  function line(text: string): SseItem[] {
    if (text === "") return dispatch();
    const colon = text.indexOf(":");
    if (colon === 0) return [];
    if (colon < 0) return field(text, "");
    return field(text.slice(0, colon), text.slice(colon + 1).replace(/^ /, ""));
  }

  return (piece) => {
    let text = piece;
    if (!begun && text !== "") {
      begun = true;
      text = text.replace(/^\uFEFF/, "");
    }
    // The second half of a line end whose first half ended the last piece.
    if (afterReturn && text !== "") text = text.replace(/^\n/, "");
    if (piece !== "") afterReturn = piece.endsWith("\r");
    const lines = `${rest}${text}`.split(/\r\n|\n|\r/);
    rest = lines.pop() ?? "";
    if (rest.length > longest) throw new RangeError("a line of the stream is too long");
    return lines.flatMap(line);
  };
}
