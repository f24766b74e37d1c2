/** Text that is markup already, every part of it escaped. */
export class Markup {
    constructor(readonly text: string) {}
}

type Part = Markup | readonly Markup[] | string | number | null | undefined;

const ENTITY: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
};
/** Control characters are no text of a page; a terminal's escapes would be among them. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Markup from a template; what is put into it is escaped, for an element's text as well as for a quoted attribute. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
    return new Markup(
        strings
            // A template's own indentation is no part of the page.
            .map((string) => string.replace(/\n\s+/g, "\n"))
            .reduce((text, string, index) => text + markupOf(parts[index - 1]) + string),
    );
}

function markupOf(part: Part): string {
    if (part instanceof Markup) {
        return part.text;
    }
    if (Array.isArray(part)) {
        return (part as readonly Markup[]).map(({ text }) => text).join("");
    }
    return escape(String((part as string | number | null | undefined) ?? ""));
}

function escape(text: string): string {
    return text.replace(CONTROL, "\ufffd").replace(/[&<>"']/g, (one) => ENTITY[one] ?? one);
}
