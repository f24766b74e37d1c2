import type { Stage } from "../../plan/review";

export interface Box {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
}

export interface PlacedPart extends Box {
    readonly part: Stage["parts"][number];
}

export interface PlacedStage extends Box {
    readonly stage: Stage;
    readonly parts: readonly PlacedPart[];
}

export interface Layout {
    readonly width: number;
    readonly height: number;
    readonly stages: readonly PlacedStage[];
}

/** In units of the picture, which are CSS pixels at its full size. */
export const PADDING = 18;
/** Between stages; an arrow fits in. */
export const GAP = 30;
const HEADING = 62;
const PART_HEIGHT = 50;
const PART_GAP = 10;
/** A stroke is drawn half outside its box. */
const MARGIN = 2;

/** Stages from top to bottom, the parts of each in rows of `columns`. No two boxes overlap. */
export function layoutOf(stages: readonly Stage[], width: number, columns: number): Layout {
    let y = MARGIN;
    const placed = stages.map((stage) => {
        const rows = Math.ceil(stage.parts.length / columns);
        const height = HEADING + (rows === 0 ? 0 : rows * (PART_HEIGHT + PART_GAP) + 6);
        const box = { x: MARGIN, y, width: width - 2 * MARGIN, height };
        y += height + GAP;
        return { ...box, stage, parts: partsOf(stage, box, columns) };
    });
    return { width, height: Math.max(0, y - GAP) + MARGIN, stages: placed };
}

function partsOf({ parts }: Stage, box: Box, columns: number): PlacedPart[] {
    const inner = box.width - 2 * PADDING;
    const width = (inner - (columns - 1) * PART_GAP) / columns;
    return parts.map((part, index) => ({
        part,
        x: box.x + PADDING + (index % columns) * (width + PART_GAP),
        y: box.y + HEADING + Math.floor(index / columns) * (PART_HEIGHT + PART_GAP),
        width,
        height: PART_HEIGHT,
    }));
}

/**
 * The beginning of a text that fits into a width, with an ellipsis where something is cut. Rather too short than too long:
 * which font shows it is not known.
 */
export function clip(text: string, width: number, fontSize: number): string {
    const ems = width / fontSize;
    const all = [...text];
    if (all.reduce((sum, one) => sum + emsOf(one), 0) <= ems) {
        return text;
    }
    let room = ems - 1;
    const kept = all.findIndex((one) => (room -= emsOf(one)) < 0);
    return `${all.slice(0, Math.max(0, kept)).join("")}…`;
}

/** Width of a character, in em, in a wide sans-serif font. */
function emsOf(one: string): number {
    if (/[ijl.,:;'|!]/.test(one)) {
        return 0.36;
    }
    if (/[mwMW@%]/.test(one)) {
        return 1;
    }
    return /[\x20-\x7e]/.test(one) ? (/[A-Z]/.test(one) ? 0.74 : 0.61) : 1.3;
}
