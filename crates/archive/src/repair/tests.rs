use super::*;
use bifrost_core::tile::Pixel;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const ROOT: &str = "dr1/spectro/redux/iron/healpix";

fn name(name: &str) -> Name {
    Name::new(name).expect("a name")
}

fn expected() -> Expected {
    Expected {
        production: Production::known(&name("iron")).expect("known"),
        bucket: Some("desidata".into()),
        survey: None,
        program: None,
    }
}

fn tile(survey: &str, program: &str, pixel: u32) -> Tile {
    let pixel = Pixel::new(pixel.into()).expect("a pixel");
    Tile { release: name("iron"), survey: name(survey), program: name(program), pixel }
}

/// What one line becomes, and what was wrong with it.
fn one(line: &str) -> (Option<(Tile, Vec<Kind>)>, Vec<Wrong>) {
    let mended = mend(line, &expected());
    let wrong = mended.corrections.into_iter().flat_map(|c| c.wrong).collect();
    (mended.tiles.into_iter().next(), wrong)
}

#[test]
fn each_fault_is_named_and_mended() {
    let coadd = Some((tile("main", "dark", 4802), vec![Kind::Coadd]));
    let sums = Some((tile("main", "dark", 4802), vec![Kind::Sums]));
    let whole = Some((tile("main", "dark", 4802), vec![]));
    let file = "coadd-main-dark-4802.fits";
    let key = format!("{ROOT}/main/dark/48/4802/{file}");
    let cases = [
        (key.clone(), coadd.clone(), vec![]),
        (format!("s3://desidata/{key}"), coadd.clone(), vec![]),
        (format!("/{key}"), coadd.clone(), vec![]),
        (file.into(), coadd.clone(), vec![]),
        (format!("{ROOT}/main/dark/48/4802/"), whole.clone(), vec![]),
        ("iron-main-dark-4802".into(), whole.clone(), vec![]),
        (format!("s3://desi-public/{key}"), coadd.clone(), vec![Wrong::Bucket]),
        (format!("https://data.desi.lbl.gov/public/{key}"), coadd.clone(), vec![Wrong::Url]),
        (format!("https://desidata.s3.amazonaws.com/{key}?x=1"), coadd.clone(), vec![Wrong::Url]),
        (
            format!("https://s3.us-west-2.amazonaws.com/other/{key}"),
            coadd.clone(),
            vec![Wrong::Bucket, Wrong::Url],
        ),
        (
            format!("s3://desi-public/edr/spectro/redux/fuji/healpix/main/dark/48/4802/{file}"),
            coadd.clone(),
            vec![Wrong::Bucket, Wrong::Production],
        ),
        (
            format!("{ROOT}/main/dark/048/04802/coadd-main-dark-04802.fits"),
            coadd.clone(),
            vec![Wrong::Padding],
        ),
        (
            format!("edr/spectro/redux/iron/healpix/main/dark/48/4802/{file}"),
            coadd.clone(),
            vec![Wrong::Folder],
        ),
        (format!("healpix/main/dark/48/4802/{file}"), coadd.clone(), vec![Wrong::Folder]),
        (format!("{ROOT}/main/dark/47/4802/{file}"), coadd.clone(), vec![Wrong::Folder]),
        (format!("{ROOT}/main/bright/48/4802/{file}"), coadd.clone(), vec![Wrong::Folder]),
        (format!("{ROOT}/main/dark/4802/{file}"), coadd.clone(), vec![Wrong::Folder]),
        (format!("{ROOT}//main/dark/48/4802/{file}"), coadd.clone(), vec![Wrong::Spelling]),
        (format!("{ROOT}/main/dark/48/4802/Coadd-MAIN-dark-4802.fits"), None, vec![]),
        ("coadd-main-dark-004802.fits".into(), coadd.clone(), vec![Wrong::Padding]),
        ("coadd-MAIN-dark-4802.fits".into(), coadd.clone(), vec![Wrong::Spelling]),
        ("MAIN-DARK-4802".into(), whole.clone(), vec![Wrong::Spelling]),
        ("fuji-main-dark-04802".into(), whole, vec![Wrong::Production, Wrong::Padding]),
        (
            "redux_fuji_healpix_main_dark_48_4802.sha256sum".into(),
            sums.clone(),
            vec![Wrong::Production],
        ),
        (
            format!("{ROOT}/main/dark/48/4802/redux_iron_healpix_main_dark_048_4802.sha256sum"),
            sums.clone(),
            vec![Wrong::Padding],
        ),
        (
            format!("{ROOT}/main/dark/48/4802/redux_fuji_healpix_main_dark_48_4802.sha256sum"),
            sums.clone(),
            vec![Wrong::Production],
        ),
        ("coadd-main-dark-49152.fits".into(), None, vec![]),
        ("spectra-main-dark-1.fits.gz".into(), None, vec![]),
        ("nonsense".into(), None, vec![]),
    ];
    for (line, means, wrong) in cases {
        assert_eq!(one(&line), (means, wrong), "{line}");
    }
}

#[test]
fn every_correction_has_its_line() {
    let text = format!(
        "# a list\n\n{ROOT}/main/dark/0/7/coadd-main-dark-7.fits\n\
         {ROOT}/main/dark/0/7/coadd-main-dark-7.fits\nnonsense\n{ROOT}/main/dark/00/7/redrock-main-dark-7.fits\n"
    );
    let mended = mend(&text, &expected());
    let lines: Vec<_> = mended.corrections.iter().map(|c| (c.line, c.wrong.clone())).collect();
    assert_eq!(lines, [(4, vec![Wrong::Duplicate]), (6, vec![Wrong::Padding])]);
    assert_eq!(mended.corrections[1].now, format!("{ROOT}/main/dark/0/7/redrock-main-dark-7.fits"));
    assert_eq!((mended.lines, mended.refused.len(), mended.refused[0].line), (4, 1, 5));
    let kinds = vec![Kind::Coadd, Kind::Redrock];
    assert_eq!(mended.tiles.into_iter().collect::<Vec<_>>(), [(tile("main", "dark", 7), kinds)]);
}

#[test]
fn the_historic_table_is_read_by_its_columns() {
    let url = "https://desi-public.s3.amazonaws.com/edr/spectro/redux/fuji/healpix/main/dark/100";
    let text = format!(
        "file_type,pixel,filename,url\n\
         coadd,10000,coadd-main-dark-10000.fits,s3://desidata/{ROOT}/main/dark/100/10000/coadd-main-dark-10000.fits\n\
         redrock,010000,redrock-main-dark-10000.fits,{url}/10000/redrock-main-dark-10000.fits\n\
         redrock,10001,coadd-main-dark-10001.fits,\n\
         coadd,10003,coadd-main-dark-10002.fits,{url}/10009/coadd-main-dark-10009.fits\n"
    );
    let mended = mend(&text, &expected());
    let wrong: Vec<_> = mended.corrections.iter().map(|c| (c.line, c.wrong.clone())).collect();
    assert_eq!(
        wrong,
        [
            (3, vec![Wrong::Bucket, Wrong::Url, Wrong::Production, Wrong::Padding]),
            (4, vec![Wrong::FileType]),
            (5, vec![Wrong::Bucket, Wrong::Url, Wrong::Pixel, Wrong::Address]),
        ]
    );
    let pixels: Vec<_> = mended.tiles.keys().map(|t| t.pixel.get()).collect();
    assert_eq!(pixels, [10_000, 10_001, 10_002]);
}

#[test]
fn pixels_alone_need_a_survey_and_a_program() {
    let text = "pixel,fits_mib,qso_parquet_mib\n10284,176.72,0.43\n010285,229.16,0.30\n";
    let mended = mend(text, &expected());
    assert!(mended.tiles.is_empty() && mended.refused[0].reason.contains("--survey"));
    let asked = Expected { survey: Some(name("main")), program: Some(name("dark")), ..expected() };
    let mended = mend(text, &asked);
    assert_eq!(mended.tiles.len(), 2);
    assert_eq!((mended.corrections.len(), mended.corrections[0].line), (1, 3));
}

#[test]
fn tables_come_from_every_program() {
    let url = format!("s3://desidata/{ROOT}/main/dark/100/10000/coadd-main-dark-10000.fits");
    let table = [
        ["note", "file_type", "pixel", "filename", "url"],
        ["", "coadd", "10000", "coadd-main-dark-10000.fits", &url],
    ];
    let coadd = BTreeMap::from([(tile("main", "dark", 10_000), vec![Kind::Coadd])]);
    for separator in [",", ";", "\t"] {
        for end in ["\n", "\r\n", "\r"] {
            for (before, note) in [("", ""), ("\u{feff}", "\"seen, twice;\tlate\"")] {
                let [head, row] = table.map(|row| row.join(separator));
                let text = format!("{before}{head}{end}{note}{row}{end}");
                let mended = mend(&text, &expected());
                assert_eq!((&mended.tiles, mended.lines), (&coadd, 1), "{text:?}");
                assert_eq!((&mended.corrections[..], &mended.refused[..]), (&[][..], &[][..]));
            }
        }
    }
}

#[test]
fn columns_of_survey_and_program_count_before_what_is_asked() {
    let asked = Expected { survey: Some(name("main")), program: Some(name("dark")), ..expected() };
    let text = "pixel,program\n7.0,bright\n8,\n9.5,dark\nx,dark\n9,Dark\n";
    let mended = mend(text, &asked);
    let tiles = [tile("main", "bright", 7), tile("main", "dark", 8), tile("main", "dark", 9)];
    assert_eq!(mended.tiles.into_keys().collect::<Vec<_>>(), tiles);
    let lines: Vec<_> = mended.corrections.iter().map(|c| (c.line, &c.wrong[..])).collect();
    assert_eq!(lines, [(2, &[Wrong::Spelling][..]), (6, &[Wrong::Spelling][..])]);
    let refused: Vec<_> = mended.refused.iter().map(|r| (r.line, &r.reason[..4])).collect();
    assert_eq!(refused, [(4, "'9.5"), (5, "'x' ")]);
}

#[test]
fn tables_have_a_row_for_each_visit() {
    let row = |program: &str, pixel, of: &[i64]| TableRow {
        survey: "main".into(),
        program: program.into(),
        pixel,
        of: of.to_vec(),
    };
    let rows = [
        row("dark", 7, &[1, 0]),
        row("dark", 7, &[1, 1]),
        row("bright", 7, &[2, 0]),
        row("dark", 7, &[1, 0]),
        row("dark", -1, &[1, 0]),
        row("dark", 49_152, &[1, 0]),
    ];
    let mended = mend_rows(&rows, &expected());
    let tiles = [tile("main", "bright", 7), tile("main", "dark", 7)];
    assert_eq!(mended.tiles.into_keys().collect::<Vec<_>>(), tiles);
    let lines: Vec<_> = mended.corrections.iter().map(|c| (c.line, &c.wrong[..])).collect();
    assert_eq!(lines, [(4, &[Wrong::Duplicate][..])]);
    assert_eq!(mended.refused.iter().map(|r| r.line).collect::<Vec<_>>(), [5, 6]);
}

/// Any tile, any combination of faults: the key comes out right, and each fault is named.
#[test]
fn any_combination_of_faults_is_mended() {
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let mut below = |n: u32| dice.next_u32() % n;
    for _ in 0..5_000 {
        let survey = ["cmx", "main", "special", "sv1", "sv2", "sv3"][below(6) as usize];
        let program = ["backup", "bright", "dark", "other"][below(4) as usize];
        let tile = tile(survey, program, below(Pixel::COUNT));
        let kind = Kind::ALL[below(6) as usize];
        let right = expected().production.key(&tile, kind);
        assert_eq!(one(&right), (Some((tile.clone(), vec![kind])), vec![]), "{right}");
        assert_eq!(expected().production.parse(&right), Some((tile.clone(), kind)));

        let pixel = tile.pixel.get();
        let (mut group, mut folder) = ((pixel / 100).to_string(), pixel.to_string());
        let mut root = ROOT.to_owned();
        let mut wrong = Vec::new();
        if below(2) == 0 {
            root = "edr/spectro/redux/fuji/healpix".into();
            wrong.push(Wrong::Production);
        }
        if below(2) == 0 {
            group = format!("{:0width$}", pixel / 100, width = group.len() + 1);
            folder = format!("{pixel:0width$}", width = folder.len() + below(3) as usize);
            wrong.push(Wrong::Padding);
        }
        let file = right.rsplit('/').next().expect("a name");
        let key = format!("{root}/{survey}/{program}/{group}/{folder}/{file}");
        let line = match below(4) {
            0 => {
                wrong.insert(0, Wrong::Bucket);
                format!("s3://desi-public/{key}")
            }
            1 => {
                wrong.insert(0, Wrong::Url);
                format!("https://data.desi.lbl.gov/public/{key}")
            }
            2 => {
                wrong.splice(0..0, [Wrong::Bucket, Wrong::Url]);
                format!("https://else.s3.us-west-2.amazonaws.com/{key}")
            }
            _ => key,
        };
        assert_eq!(one(&line), (Some((tile, vec![kind])), wrong), "{line}");
    }
}

/// Whatever bytes come in, something is said of every line and nothing panics.
#[test]
fn noise_is_refused_line_by_line() {
    let mut dice = ChaCha8Rng::seed_from_u64(4);
    let alphabet: Vec<char> = "coadd-main-dark-1.fits/:s3?#,\"healpix 0\u{e9}\t".chars().collect();
    for _ in 0..20_000 {
        let length = dice.next_u32() % 60;
        let pick = |_| alphabet[dice.next_u32() as usize % alphabet.len()];
        let line: String = (0..length).map(pick).collect();
        let mended = mend(&line, &expected());
        assert!(mended.refused.len() + mended.tiles.len() == mended.lines, "{line:?}");
    }
}
