//! The compression function on several streams at once: eight, one in each lane of 256-bit registers; or
//! two, whose SHA instructions fill the time in which those of one would wait for each other.

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::Kernel;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use none::Kernel;

/// Other processors follow one stream after the other.
#[cfg(not(target_arch = "x86_64"))]
mod none {
    use crate::{Block, State};

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Kernel {}

    impl Kernel {
        pub(crate) fn best() -> Option<Self> {
            None
        }

        #[cfg(test)]
        pub(crate) fn all() -> Vec<Self> {
            Vec::new()
        }

        pub(crate) fn lanes(self) -> usize {
            match self {}
        }

        pub(crate) fn compress(self, _: &mut [(&mut State, &[Block])]) {
            match self {}
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use crate::{Block, LANES, State};
    use std::arch::x86_64::*;

    /// What the processor can do. Made only where it can.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Kernel(Width);

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Width {
        /// SHA instructions, two streams in turn.
        Sha,
        /// Rotations and three-way logic in one instruction, and 32 registers.
        Avx512,
        Avx2,
    }

    /// One word of each lane.
    type Lanes = [u32; LANES];

    impl Kernel {
        /// The fastest of those that need not wait for eight streams to be fast; none where the processor has
        /// neither SHA instructions nor vectors that are wide enough.
        pub(crate) fn best() -> Option<Self> {
            Self::those_here().next()
        }

        #[cfg(test)]
        pub(crate) fn all() -> Vec<Self> {
            Self::those_here().collect()
        }

        fn those_here() -> impl Iterator<Item = Self> {
            let sha = is_x86_feature_detected!("sha")
                && is_x86_feature_detected!("ssse3")
                && is_x86_feature_detected!("sse4.1");
            let sha = sha.then_some(Self(Width::Sha));
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            let avx512 = avx512.then_some(Self(Width::Avx512));
            let avx2 = is_x86_feature_detected!("avx2").then_some(Self(Width::Avx2));
            sha.into_iter().chain(avx512).chain(avx2)
        }

        /// Streams that go side by side.
        pub(crate) fn lanes(self) -> usize {
            match self.0 {
                Width::Sha => 2,
                Width::Avx512 | Width::Avx2 => LANES,
            }
        }

        /// Advances up to as many streams as there are lanes by as many blocks as the shortest has.
        pub(crate) fn compress(self, streams: &mut [(&mut State, &[Block])]) {
            match self.0 {
                Width::Sha => {
                    if let [(one, its), (other, others)] = streams {
                        let count = its.len().min(others.len());
                        // SAFETY: the processor has sha, ssse3 and sse4.1, or this would not have been made
                        unsafe { compress_pair([one, other], [&its[..count], &others[..count]]) };
                        (*its, *others) = (&its[count..], &others[count..]);
                    }
                }
                Width::Avx512 | Width::Avx2 => self.compress_lanes(streams),
            }
        }

        fn compress_lanes(self, streams: &mut [(&mut State, &[Block])]) {
            let count = streams.iter().map(|(_, blocks)| blocks.len()).min().unwrap_or(0);
            let Some((_, first)) = streams.first() else { return };
            // lanes without a stream repeat the first
            let mut blocks = [&first[..count]; LANES];
            let mut states = [[0; LANES]; 8];
            for (lane, (state, its)) in streams.iter().enumerate().take(LANES) {
                blocks[lane] = &its[..count];
                for (word, value) in state.iter().enumerate() {
                    states[word][lane] = *value;
                }
            }
            match self.0 {
                Width::Sha => {}
                // SAFETY: the processor has avx512f and avx512vl, or this would not have been made
                Width::Avx512 => unsafe { compress_avx512(&mut states, &blocks) },
                // SAFETY: the processor has avx2, or this would not have been made
                Width::Avx2 => unsafe { compress_avx2(&mut states, &blocks) },
            }
            for (lane, (state, its)) in streams.iter_mut().enumerate().take(LANES) {
                for (word, value) in state.iter_mut().enumerate() {
                    *value = states[word][lane];
                }
                *its = &its[count..];
            }
        }
    }

    /// First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4,
    /// 4.2.2), sixteen rounds a line.
    #[rustfmt::skip]
    const K: [[u32; 16]; 4] = [
        [0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
         0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174],
        [0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
         0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967],
        [0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
         0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070],
        [0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
         0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2],
    ];

    /// Both streams by as many blocks as either has; the instructions of one do not wait for those of the
    /// other. They want the state as words a, b, e, f and c, d, g, h ("Intel SHA Extensions", 2013).
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn compress_pair(states: [&mut State; 2], blocks: [&[Block]; 2]) {
        // SAFETY: four words of 32 bits are the 128 bits of a register; any bits are valid
        let load = |words: [u32; 4]| unsafe { std::mem::transmute::<[u32; 4], __m128i>(words) };
        // SAFETY: as above, the other way
        let store = |x: __m128i| unsafe { std::mem::transmute::<__m128i, [u32; 4]>(x) };
        // SAFETY: 16 bytes are the 128 bits of a register; any bits are valid
        let read = |bytes: [u8; 16]| unsafe { std::mem::transmute::<[u8; 16], __m128i>(bytes) };
        // big-endian words to the processor's
        let swap = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
        let [mut one, mut other] = [&*states[0], &*states[1]]
            .map(|&[a, b, c, d, e, f, g, h]| [load([f, e, b, a]), load([h, g, d, c])]);
        for (block, its) in blocks[0].iter().zip(blocks[1]) {
            let words =
                |block: &Block, at: usize| _mm_shuffle_epi8(read(block.as_chunks().0[at]), swap);
            let mut w = [0, 1, 2, 3].map(|at| [words(block, at), words(its, at)]);
            let before = [one, other];
            for (turn, k) in K.iter().enumerate() {
                for at in 0..4 {
                    if turn > 0 {
                        let next = |lane: usize| {
                            let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|k| w[(at + k) & 3][lane]);
                            let sum = _mm_add_epi32(
                                _mm_sha256msg1_epu32(w0, w1),
                                _mm_alignr_epi8::<4>(w3, w2),
                            );
                            _mm_sha256msg2_epu32(sum, w3)
                        };
                        w[at] = [next(0), next(1)];
                    }
                    let k = load([k[4 * at], k[4 * at + 1], k[4 * at + 2], k[4 * at + 3]]);
                    let [x, y] = w[at].map(|w| _mm_add_epi32(w, k));
                    one[1] = _mm_sha256rnds2_epu32(one[1], one[0], x);
                    other[1] = _mm_sha256rnds2_epu32(other[1], other[0], y);
                    one[0] = _mm_sha256rnds2_epu32(one[0], one[1], _mm_shuffle_epi32::<0x0e>(x));
                    other[0] =
                        _mm_sha256rnds2_epu32(other[0], other[1], _mm_shuffle_epi32::<0x0e>(y));
                }
            }
            for half in 0..2 {
                one[half] = _mm_add_epi32(one[half], before[0][half]);
                other[half] = _mm_add_epi32(other[half], before[1][half]);
            }
        }
        for (state, sum) in states.into_iter().zip([one, other]) {
            let ([f, e, b, a], [h, g, d, c]) = (store(sum[0]), store(sum[1]));
            *state = [a, b, c, d, e, f, g, h];
        }
    }

    /// One source for both instruction sets: with AVX-512 the compiler makes single instructions of
    /// the rotations and of the logic. Names are those of FIPS 180-4, section 6.2.2.
    macro_rules! kernel {
        ($name:ident, $features:literal) => {
            #[target_feature(enable = $features)]
            fn $name(states: &mut [Lanes; 8], blocks: &[&[Block]; LANES]) {
                let add = |x, y| _mm256_add_epi32(x, y);
                let and = |x, y| _mm256_and_si256(x, y);
                let or = |x, y| _mm256_or_si256(x, y);
                let xor = |x, y| _mm256_xor_si256(x, y);
                macro_rules! rotr {
                    ($x:expr, $n:literal) => {
                        or(_mm256_srli_epi32::<$n>($x), _mm256_slli_epi32::<{ 32 - $n }>($x))
                    };
                }
                macro_rules! round {
                    ($w:expr, $k:expr, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                        let sigma = xor(xor(rotr!($e, 6), rotr!($e, 11)), rotr!($e, 25));
                        let ch = xor(and($e, $f), _mm256_andnot_si256($e, $g));
                        let wk = add($w, _mm256_set1_epi32($k.cast_signed()));
                        let t1 = add(add(add($h, sigma), ch), wk);
                        let sigma = xor(xor(rotr!($a, 2), rotr!($a, 13)), rotr!($a, 22));
                        let maj = xor(xor(and($a, $b), and($a, $c)), and($b, $c));
                        $d = add($d, t1);
                        $h = add(t1, add(sigma, maj));
                    };
                }
                macro_rules! eight {
                    ($w:ident, $k:ident, $t:literal, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                        round!($w[$t], $k[$t], $a $b $c $d $e $f $g $h);
                        round!($w[$t + 1], $k[$t + 1], $h $a $b $c $d $e $f $g);
                        round!($w[$t + 2], $k[$t + 2], $g $h $a $b $c $d $e $f);
                        round!($w[$t + 3], $k[$t + 3], $f $g $h $a $b $c $d $e);
                        round!($w[$t + 4], $k[$t + 4], $e $f $g $h $a $b $c $d);
                        round!($w[$t + 5], $k[$t + 5], $d $e $f $g $h $a $b $c);
                        round!($w[$t + 6], $k[$t + 6], $c $d $e $f $g $h $a $b);
                        round!($w[$t + 7], $k[$t + 7], $b $c $d $e $f $g $h $a);
                    };
                }
                macro_rules! schedule {
                    ($w:ident, $t:literal) => {
                        let x = $w[($t + 1) & 15];
                        let s0 = xor(xor(rotr!(x, 7), rotr!(x, 18)), _mm256_srli_epi32::<3>(x));
                        let x = $w[($t + 14) & 15];
                        let s1 = xor(xor(rotr!(x, 17), rotr!(x, 19)), _mm256_srli_epi32::<10>(x));
                        $w[$t] = add(add($w[$t], s0), add($w[($t + 9) & 15], s1));
                    };
                }
                // SAFETY: eight words of 32 bits are the 256 bits of a register; any bits are valid
                let load = |words: Lanes| unsafe { std::mem::transmute::<Lanes, __m256i>(words) };
                // SAFETY: as above, the other way
                let store = |x: __m256i| unsafe { std::mem::transmute::<__m256i, Lanes>(x) };
                // big-endian words to the processor's
                let swap = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                    3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
                ));
                let mut sum = states.map(|words| load(words));
                for at in 0..blocks[0].len() {
                    // eight words of each lane become eight lanes of each word
                    let transposed = |half: usize| {
                        let row = |lane: usize| {
                            let bytes: &[u8; 32] = &blocks[lane][at].as_chunks().0[half];
                            // SAFETY: 32 bytes are the 256 bits of a register; any bits are valid
                            let row = unsafe { std::mem::transmute::<[u8; 32], __m256i>(*bytes) };
                            _mm256_shuffle_epi8(row, swap)
                        };
                        let pairs = |x: [__m256i; 4]| {
                            let low = |i: usize| _mm256_unpacklo_epi32(x[i], x[i + 1]);
                            let high = |i: usize| _mm256_unpackhi_epi32(x[i], x[i + 1]);
                            let (a, b, c, d) = (low(0), high(0), low(2), high(2));
                            [
                                _mm256_unpacklo_epi64(a, c),
                                _mm256_unpackhi_epi64(a, c),
                                _mm256_unpacklo_epi64(b, d),
                                _mm256_unpackhi_epi64(b, d),
                            ]
                        };
                        let x = pairs([row(0), row(1), row(2), row(3)]);
                        let y = pairs([row(4), row(5), row(6), row(7)]);
                        let low = |i: usize| _mm256_permute2x128_si256::<0x20>(x[i], y[i]);
                        let high = |i: usize| _mm256_permute2x128_si256::<0x31>(x[i], y[i]);
                        [low(0), low(1), low(2), low(3), high(0), high(1), high(2), high(3)]
                    };
                    let ([p0, p1, p2, p3, p4, p5, p6, p7], [q0, q1, q2, q3, q4, q5, q6, q7]) =
                        (transposed(0), transposed(1));
                    let mut w =
                        [p0, p1, p2, p3, p4, p5, p6, p7, q0, q1, q2, q3, q4, q5, q6, q7];
                    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = sum;
                    for (turn, k) in K.iter().enumerate() {
                        if turn > 0 {
                            schedule!(w, 0);
                            schedule!(w, 1);
                            schedule!(w, 2);
                            schedule!(w, 3);
                            schedule!(w, 4);
                            schedule!(w, 5);
                            schedule!(w, 6);
                            schedule!(w, 7);
                            schedule!(w, 8);
                            schedule!(w, 9);
                            schedule!(w, 10);
                            schedule!(w, 11);
                            schedule!(w, 12);
                            schedule!(w, 13);
                            schedule!(w, 14);
                            schedule!(w, 15);
                        }
                        eight!(w, k, 0, a b c d e f g h);
                        eight!(w, k, 8, a b c d e f g h);
                    }
                    for (sum, x) in sum.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                        *sum = add(*sum, x);
                    }
                }
                *states = sum.map(|x| store(x));
            }
        };
    }

    kernel!(compress_avx512, "avx512f,avx512vl");
    kernel!(compress_avx2, "avx2");
}
