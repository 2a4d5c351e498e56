import { laterPosition, noPosition, parsePosition, positionText } from "#core/db/position.ts";
import { positionHeader } from "#core/http/positionHeader.ts";

/** How far what a client was answered and told reaches, so that no later answer falls behind it, whichever process gives it. */
export type Places = {
  /** What requests say of it; nothing where nothing is known. A service without a replica passes it over. */
  header(): Readonly<Record<string, string>>;
  answered(response: Pick<Response, "headers">): void;
  /** Of an event, by its id. */
  told(event: string): void;
};

export function createPlaces(): Places {
  let place = noPosition;
  return {
    header: () => (place === noPosition ? {} : { [positionHeader]: positionText(place) }),
    answered({ headers }) {
      const position = parsePosition(headers.get(positionHeader) ?? "");
      if (position) place = laterPosition(place, position);
    },
    told(event) {
      const position = parsePosition(`0.${event}`);
      if (position) place = laterPosition(place, position);
    },
  };
}
