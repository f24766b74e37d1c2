// The library takes most of a second to load, so only who needs it loads it.

/** What is wrong with a text as an age recipient, as the end of a sentence; undefined: nothing. Never holds the text. */
export async function recipientProblem(recipient: string): Promise<string | undefined> {
    if (/^AGE-SECRET-KEY-/i.test(recipient)) {
        return "is a secret key; a recipient (age1...) is its public part, and this key has been seen now";
    }
    const { Encrypter } = await import("age-encryption");
    try {
        new Encrypter().addRecipient(recipient);
        return undefined;
    } catch (error) {
        // Some of the library's messages repeat the text, which stands before them anyway.
        const [reason = ""] = (error as Error).message.split(" in ");
        return `is no age recipient (${reason}); one begins with age1 and has no typing error`;
    }
}

/** @throws Error where the recipient is none, see `recipientProblem` */
export async function encrypt(recipient: string, text: string): Promise<Uint8Array> {
    const { Encrypter } = await import("age-encryption");
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    return encrypter.encrypt(text);
}

/**
 * @param identities text of an identity file: lines that begin with AGE-SECRET-KEY-, and comments
 * @throws Error that tells what is wrong, without a word of the file
 */
export async function decrypt(identities: string, data: Uint8Array): Promise<string> {
    const lines = identities.split(/\r?\n/).map((line) => line.trim());
    const keys = lines.filter((line) => /^AGE-SECRET-KEY-/.test(line));
    if (keys.length === 0) {
        throw new Error(
            "has no line that begins with AGE-SECRET-KEY- (an encrypted one is decrypted first: age -d)",
        );
    }
    const { Decrypter } = await import("age-encryption");
    const decrypter = new Decrypter();
    try {
        keys.forEach((key) => decrypter.addIdentity(key));
    } catch {
        throw new Error("holds a key that cannot be read");
    }
    try {
        return await decrypter.decrypt(data, "text");
    } catch {
        throw new Error("does not decrypt the Secrets of this backup: it is another recipient's");
    }
}
