import type { Stage } from "../../plan/review";
import { clip, GAP, layoutOf, PADDING, type PlacedPart, type PlacedStage } from "./layout";
import { html, type Markup } from "./markup";

/** Order and waves as a picture, once for wide windows and once for narrow ones. */
export function picture(stages: readonly Stage[]): Markup {
    return html`${svg(stages, "wide", 760, 3)}${svg(stages, "narrow", 330, 1)}`;
}

function svg(
    stages: readonly Stage[],
    name: string,
    columnsWidth: number,
    columns: number,
): Markup {
    const { width, height, stages: placed } = layoutOf(stages, columnsWidth, columns);
    const order = stages.map(({ title }) => title).join(", then ");
    return html`<svg
        class="picture ${name}"
        viewBox="0 0 ${width} ${height}"
        width="${width}"
        height="${height}"
        role="img"
        aria-label="${order}"
    >
        ${placed.map((one, index) => stageBox(one, index + 1))} ${placed.slice(1).map(arrow)}
    </svg>`;
}

function stageBox({ stage, x, y, width, height, parts }: PlacedStage, number: number): Markup {
    const { kind, title, detail } = stage;
    const room = width - 2 * PADDING - 44;
    const left = x + PADDING + 44;
    return html`<g class="stage ${kind}">
        <title>${title}: ${detail}</title>
        <rect class="box" x="${x}" y="${y}" width="${width}" height="${height}" rx="10" />
        <circle class="number" cx="${x + PADDING + 14}" cy="${y + 31}" r="15" />
        <text class="ordinal" x="${x + PADDING + 14}" y="${y + 36}">${number}</text>
        <text class="title" x="${left}" y="${y + 27}">${clip(title, room, 15)}</text>
        <text class="detail" x="${left}" y="${y + 46}">${clip(detail, room, 13)}</text>
        ${parts.map(partBox)}
    </g>`;
}

function partBox({ part, x, y, width, height }: PlacedPart): Markup {
    const { name, detail } = part;
    const room = width - 24;
    return html`<g class="part">
        <title>${name}: ${detail}</title>
        <rect class="box" x="${x}" y="${y}" width="${width}" height="${height}" rx="6" />
        <text class="name" x="${x + 12}" y="${y + 21}">${clip(name, room, 13)}</text>
        <text class="detail" x="${x + 12}" y="${y + 39}">${clip(detail, room, 12)}</text>
    </g>`;
}

/** From the stage before down to this one. */
function arrow({ x, y, width }: PlacedStage): Markup {
    const middle = x + width / 2;
    const tip = y - 4;
    return html`<path
        class="arrow"
        d="M${middle} ${y - GAP + 4}V${tip - 6}M${middle - 6} ${tip - 7}L${middle} ${tip}L${middle + 6} ${tip - 7}"
    />`;
}
