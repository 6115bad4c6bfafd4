//! Allocator of the components: a bump allocator with free lists by size class.
//!
//! An instance lives for one call and is discarded with all its memory. So blocks are never merged, and memory is
//! never returned to the host. Finding a block takes a few instructions, which matters because a call pays for each
//! in fuel. A single decision fits in the memory that an instance starts with (`xtask/src/wasm.rs`); growing it is a
//! call into the kernel.

#![cfg_attr(
    not(any(test, target_arch = "wasm32")),
    expect(dead_code, reason = "only a component has such a memory")
)]
#![allow(unsafe_code, reason = "an allocator gives out memory by its address")]

use std::alloc::Layout;
use std::ptr::null_mut;

/// Source of memory.
trait Source {
    /// Provides at least `bytes` more bytes: returns their start and their number. They usually follow on the
    /// previous ones; if not, the arena starts over at the new place.
    fn more(&mut self, bytes: usize) -> Option<(usize, usize)>;
}

/// Returns the number of 64 KiB pages to grow by, when `needed` pages are missing and there are `pages` already.
///
/// The memory doubles, so that many growths cost little, but grows by at most 16 MiB more than needed. A growth that
/// the host refuses ends the call, and pure doubling would be refused at half of the memory that an instance may
/// have.
const fn growth(needed: usize, pages: usize) -> usize {
    const MOST: usize = 256;
    let again = if pages < MOST { pages } else { MOST };
    if needed > again { needed } else { again }
}

/// Largest size, in bytes, with classes in steps of 16 bytes. Larger classes are quarters of a power of two.
const FINE: usize = 512;
const STEP: usize = 16;
const FINE_CLASSES: usize = FINE / STEP;
/// Number of classes: above 512 bytes there are four for each power of two, up to the end of memory.
const CLASSES: usize = FINE_CLASSES + 4 * (usize::BITS as usize - 9);

/// Size class: the index of its free list, and the size of its blocks in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Class {
    list: usize,
    bytes: usize,
}

impl Class {
    fn of(size: usize) -> Option<Self> {
        if size <= FINE {
            let steps = size.max(1).div_ceil(STEP);
            return Some(Self { list: steps - 1, bytes: steps * STEP });
        }
        if size > isize::MAX.unsigned_abs() / 2 {
            return None;
        }
        let power = usize::BITS - 1 - (size - 1).leading_zeros();
        let quarter = power - 2;
        let quarters = ((size - 1) >> quarter) + 1;
        // `quarters` is 5 to 8 quarters of this power of two; 8 quarters are the next power itself.
        let list = FINE_CLASSES + 4 * (power as usize - 9) + quarters - 5;
        Some(Self { list, bytes: quarters << quarter })
    }
}

struct Arena<S> {
    source: S,
    next: usize,
    end: usize,
    /// Most recently freed block of each class. Each free block begins with the address of the one freed before it.
    free: [*mut u8; CLASSES],
}

impl<S: Source> Arena<S> {
    const fn new(source: S) -> Self {
        Self { source, next: 0, end: 0, free: [null_mut(); CLASSES] }
    }

    fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout.size().max(layout.align())) else { return null_mut() };
        if layout.align() > STEP {
            return self.fresh(class.bytes, layout.align());
        }
        let block = self.free[class.list];
        if block.is_null() {
            return self.fresh(class.bytes, STEP);
        }
        // SAFETY: a free block holds the address of the next one, and is aligned for it.
        self.free[class.list] = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    /// Allocates memory that was never used.
    fn fresh(&mut self, bytes: usize, align: usize) -> *mut u8 {
        let place = self.next.next_multiple_of(align);
        // No memory ends at the largest address, so a sum that saturates does not fit and no source provides it.
        if place.saturating_add(bytes) <= self.end && self.end > 0 {
            self.next = place + bytes;
            return place as *mut u8;
        }
        let Some((begin, more)) = self.source.more(bytes.saturating_add(align)) else { return null_mut() };
        if begin != self.end {
            self.next = begin;
        }
        self.end = begin + more;
        let place = self.next.next_multiple_of(align);
        self.next = place + bytes;
        place as *mut u8
    }

    fn release(&mut self, block: *mut u8, layout: Layout) {
        // Blocks with a larger alignment are rare and are not reused.
        let Some(class) = Class::of(layout.size().max(layout.align())) else { return };
        if layout.align() > STEP {
            return;
        }
        // SAFETY: the caller has given up the block, and it has at least sixteen bytes and is aligned.
        unsafe { block.cast::<*mut u8>().write(self.free[class.list]) };
        self.free[class.list] = block;
    }

    fn resize(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(old), Some(new)) =
            (Class::of(layout.size().max(layout.align())), Class::of(size.max(layout.align())))
        else {
            return null_mut();
        };
        if old == new {
            return block;
        }
        let place = block as usize;
        if place + old.bytes == self.next && layout.align() <= STEP && place + new.bytes <= self.end {
            self.next = place + new.bytes;
            return block;
        }
        // SAFETY: the alignment is that of a layout, and `Class::of` has bounded the size.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let moved = self.allocate(wanted);
        if !moved.is_null() {
            // SAFETY: both blocks have at least that size, and they are different blocks.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(size)) };
            self.release(block, layout);
        }
        moved
    }
}

#[cfg(target_arch = "wasm32")]
pub use linear_memory::{First, LinearArena};

#[cfg(target_arch = "wasm32")]
mod linear_memory {
    //! Memory of an instance: the initial memory behind its data, then what it grows by.

    use std::alloc::{GlobalAlloc, Layout};
    use std::arch::wasm32::{memory_grow, memory_size};
    use std::cell::UnsafeCell;

    use super::{Arena, Source, growth};

    const PAGE: usize = 1 << 16;

    struct LinearMemory {
        end: usize,
        first: Option<(*const u8, usize)>,
    }

    /// Static buffer that an instance can start with.
    #[repr(align(16))]
    pub struct First<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

    // SAFETY: a component has one thread.
    unsafe impl<const BYTES: usize> Sync for First<BYTES> {}

    impl<const BYTES: usize> First<BYTES> {
        #[must_use]
        #[expect(clippy::new_without_default, reason = "a static's value")]
        pub const fn new() -> Self {
            Self(UnsafeCell::new([0; BYTES]))
        }
    }

    unsafe extern "C" {
        /// End of the static data, defined by the linker.
        static __heap_base: u8;
    }

    impl Source for LinearMemory {
        fn more(&mut self, bytes: usize) -> Option<(usize, usize)> {
            if let Some((begin, size)) = self.first.take_if(|(_, size)| *size >= bytes) {
                return Some((begin as usize, size));
            }
            if self.end == 0 {
                let begin = &raw const __heap_base as usize;
                self.end = memory_size::<0>() * PAGE;
                // An instance without memory after its data has none left, not less than none.
                if self.end.saturating_sub(begin) >= bytes {
                    return Some((begin, self.end - begin));
                }
            }
            let pages = growth(bytes.div_ceil(PAGE), self.end / PAGE);
            let before = match memory_grow::<0>(pages) {
                usize::MAX => return None,
                before => before * PAGE,
            };
            self.end = before + pages * PAGE;
            Some((before, pages * PAGE))
        }
    }

    /// Global allocator of a component, which has one thread.
    pub struct LinearArena(UnsafeCell<Arena<LinearMemory>>);

    // SAFETY: a component has one thread, and the allocator calls nothing that allocates.
    unsafe impl Sync for LinearArena {}

    impl LinearArena {
        /// Creates an arena that uses the memory after the static data.
        #[must_use]
        #[expect(clippy::new_without_default, reason = "a static's value")]
        pub const fn new() -> Self {
            Self(UnsafeCell::new(Arena::new(LinearMemory { end: 0, first: None })))
        }

        /// Creates an arena that first uses that buffer, which must not be used for anything else, and then the
        /// memory after the static data.
        #[must_use]
        pub const fn beginning_with<const BYTES: usize>(first: &'static First<BYTES>) -> Self {
            let first = Some((first.0.get().cast_const().cast(), BYTES));
            Self(UnsafeCell::new(Arena::new(LinearMemory { end: 0, first })))
        }
    }

    // SAFETY: blocks come from memory that is used for nothing else, have the requested size and alignment, and are
    // reused only after they were freed.
    unsafe impl GlobalAlloc for LinearArena {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: see `Sync`.
            unsafe { &mut *self.0.get() }.allocate(layout)
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: see `Sync`.
            unsafe { &mut *self.0.get() }.release(block, layout);
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: see `Sync`.
            unsafe { &mut *self.0.get() }.resize(block, layout, size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consecutive pieces of memory, up to a limit.
    struct Pieces {
        memory: Vec<u128>,
        given: usize,
    }

    const PIECE: usize = 1 << 16;

    impl Source for Pieces {
        fn more(&mut self, bytes: usize) -> Option<(usize, usize)> {
            let piece = bytes.next_multiple_of(PIECE);
            let begin = self.memory.as_ptr() as usize + self.given;
            self.given += piece;
            (self.given <= self.memory.len() * 16).then_some((begin, piece))
        }
    }

    fn arena(bytes: usize) -> Arena<Pieces> {
        Arena::new(Pieces { memory: vec![0; bytes / 16], given: 0 })
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn every_size_has_a_class_that_holds_it_and_a_list_of_its_own() {
        let mut before = Class { list: usize::MAX, bytes: 0 };
        for size in (0..5_000).chain((1 << 20) - 2..(1 << 20) + 3).chain([1 << 31, (1 << 31) + 1]) {
            let class = Class::of(size).unwrap();
            assert!(class.bytes >= size && class.list < CLASSES, "{size}: {class:?}");
            assert!(class.bytes <= size.max(16) * 5 / 4 + 16, "{size}: {class:?}");
            let is_next = class.list == before.list.wrapping_add(1) && class.bytes > before.bytes;
            assert!(class == before || is_next || size > 5_000, "{size}: {class:?} after {before:?}");
            before = class;
        }
        assert_eq!(Class::of(usize::MAX), None);
    }

    /// Thousands of blocks of all sizes, each filled with its own number, looked at again before it goes.
    #[test]
    fn no_two_blocks_ever_share_a_byte() {
        let mut arena = arena(64 << 20);
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut random = 1_u64;
        let mut below = |end: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % end
        };
        let whole = |&(block, layout, fill): &(*mut u8, Layout, u8)| {
            // SAFETY: the block belongs to the test and has that size.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == fill), "a block of {}", layout.size());
        };
        for round in 0..20_000_usize {
            let fill = (round % 251) as u8;
            let largest = [40, 600, 5_000][below(3)];
            let size = 1 + below(largest);
            if !blocks.is_empty() && below(5) < 2 {
                let block = {
                    let chosen = below(blocks.len());
                    blocks.swap_remove(chosen)
                };
                whole(&block);
                arena.release(block.0, block.1);
            } else if !blocks.is_empty() && below(4) == 0 {
                let (block, old, fill) = blocks.swap_remove(below(blocks.len()));
                let moved = arena.resize(block, old, size);
                let kept = (moved, layout(old.size().min(size), old.align()), fill);
                whole(&kept);
                // SAFETY: the block belongs to the test and has that size.
                unsafe { moved.write_bytes(fill, size) };
                blocks.push((moved, layout(size, old.align()), fill));
            } else {
                let layout = layout(size, 1 << below(7));
                let block = arena.allocate(layout);
                assert!(!block.is_null() && (block as usize).is_multiple_of(layout.align()));
                // SAFETY: the block belongs to the test and has that size.
                unsafe { block.write_bytes(fill, size) };
                blocks.push((block, layout, fill));
            }
        }
        blocks.iter().for_each(whole);
    }

    /// A list of 5 MiB, then small blocks: all memory that the host allows can be used, except at most the last 16
    /// MiB.
    #[test]
    fn almost_all_memory_can_be_had() {
        const LIMIT: usize = 2_048;
        let mut pages = 2 + growth(80, 2);
        while pages + growth(1, pages) <= LIMIT {
            pages += growth(1, pages);
        }
        assert!(pages > LIMIT - 256, "{pages} pages");
        assert_eq!((growth(1, 2), growth(300, 2), growth(1, 1_000)), (2, 300, 256));
    }

    #[test]
    fn what_was_given_back_is_given_out_again() {
        let mut arena = arena(1 << 20);
        for size in [1, 16, 100, 513, 4_000] {
            let first = arena.allocate(layout(size, 8));
            arena.release(first, layout(size, 8));
            assert_eq!(arena.allocate(layout(size, 8)), first);
        }
    }

    #[test]
    fn what_does_not_fit_is_null_and_harms_nothing() {
        let mut arena = arena(1 << 20);
        let first = arena.allocate(layout(1_000, 8));
        assert!(arena.allocate(layout(16 << 20, 8)).is_null());
        assert!(arena.resize(first, layout(1_000, 8), 16 << 20).is_null());
        assert!(!first.is_null());
    }
}
