//! A tar file of a few texts (POSIX.1-1988, "ustar"), as everything that unpacks anything reads it.

/// What blocks are made of, in bytes.
const BLOCK: usize = 512;

/// An archive in memory: what is put in is some hundred kilobytes.
#[derive(Debug, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    /// Puts a file in, changed at `seconds` since 1970. Names are ours and short.
    pub(super) fn put(&mut self, name: &str, text: &[u8], seconds: u64) {
        let mut head = [0; BLOCK];
        let mut field = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
        field(0, &name.as_bytes()[..name.len().min(99)]);
        // Mode, owner and group; for the eyes of whoever unpacks it.
        field(100, b"0000600\0");
        field(108, b"0000000\0");
        field(116, b"0000000\0");
        field(124, format!("{:011o}\0", text.len()).as_bytes());
        field(136, format!("{seconds:011o}\0").as_bytes());
        // The sum counts itself as spaces.
        field(148, b"        ");
        field(156, b"0");
        field(257, b"ustar\x0000");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&head);
        self.0.extend_from_slice(text);
        self.pad();
    }

    /// The archive's bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 2 * BLOCK]);
        self.0
    }

    fn pad(&mut self) {
        let whole = self.0.len().next_multiple_of(BLOCK);
        self.0.resize(whole, 0);
    }
}
