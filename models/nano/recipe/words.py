"""The fixed words of the pictures: what charts compare, colours, kinds of shapes."""

CATEGORIES: tuple[tuple[str, ...], ...] = (
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ("January", "February", "March", "April", "May", "June", "July", "August"),
    ("Q1", "Q2", "Q3", "Q4"),
    ("2015", "2016", "2017", "2018", "2019", "2020", "2021", "2022", "2023", "2024"),
    ("A", "B", "C", "D", "E", "F", "G", "H"),
    ("P", "Q", "R", "S", "T", "U", "V", "W"),
    ("Apples", "Bananas", "Cherries", "Grapes", "Oranges", "Pears", "Plums", "Lemons", "Mangoes"),
    ("apple", "banana", "cherry", "grape", "orange", "pear", "plum", "lemon", "mango", "kiwi"),
    ("Cats", "Dogs", "Birds", "Fish", "Rabbits", "Hamsters", "Horses", "Snakes"),
    ("Cat", "Dog", "Bird", "Fish", "Rabbit", "Horse", "Cow", "Pig", "Sheep"),
    ("Red", "Blue", "Green", "Yellow", "Orange", "Purple", "Pink", "Black", "White"),
    (
        "Anna",
        "Ben",
        "Clara",
        "David",
        "Emma",
        "Frank",
        "Grace",
        "Henry",
        "Ivy",
        "Jack",
        "Kate",
        "Leo",
    ),
    ("Alice", "Bob", "Carol", "Dan", "Eve", "Tom", "Mia", "Sam", "Lucy", "Max", "Nina", "Paul"),
    (
        "Math",
        "English",
        "Science",
        "History",
        "Art",
        "Music",
        "Physics",
        "Biology",
        "Chemistry",
        "PE",
    ),
    ("Football", "Tennis", "Golf", "Hockey", "Rugby", "Swimming", "Running", "Baseball", "Soccer"),
    (
        "France",
        "Spain",
        "Italy",
        "Germany",
        "China",
        "Japan",
        "India",
        "Brazil",
        "Canada",
        "USA",
        "UK",
    ),
    ("Paris", "London", "Rome", "Berlin", "Madrid", "Tokyo", "Cairo", "Oslo", "Lima", "Delhi"),
    ("North", "South", "East", "West", "Central"),
    ("Bus", "Car", "Bike", "Walk", "Train", "Tram", "Taxi", "Plane"),
    ("Tea", "Coffee", "Milk", "Water", "Juice", "Soda", "Cola"),
    ("Spring", "Summer", "Autumn", "Winter"),
    ("Books", "Pens", "Bags", "Shoes", "Hats", "Toys", "Phones", "Cups", "Games"),
    ("Pizza", "Pasta", "Salad", "Soup", "Burger", "Rice", "Bread", "Cake", "Sushi"),
    ("Week 1", "Week 2", "Week 3", "Week 4", "Week 5", "Week 6"),
    ("Day 1", "Day 2", "Day 3", "Day 4", "Day 5", "Day 6"),
    ("Class A", "Class B", "Class C", "Class D", "Class E"),
    ("Team 1", "Team 2", "Team 3", "Team 4", "Team 5"),
    ("1", "2", "3", "4", "5", "6", "7", "8"),
)

CHINESE_CATEGORIES: tuple[tuple[str, ...], ...] = (
    ("苹果", "香蕉", "葡萄", "橙子", "梨", "桃子", "西瓜", "草莓"),
    ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    ("星期一", "星期二", "星期三", "星期四", "星期五"),
    ("一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月"),
    ("1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月"),
    ("甲", "乙", "丙", "丁", "戊"),
    ("数学", "语文", "英语", "物理", "化学", "音乐", "美术"),
    ("小明", "小红", "小刚", "小华", "小丽", "小李"),
    ("北京", "上海", "广州", "深圳", "成都", "武汉"),
    ("篮球", "足球", "排球", "网球", "游泳", "跑步"),
    ("猫", "狗", "鸟", "鱼", "兔子", "马"),
    ("一班", "二班", "三班", "四班", "五班"),
    ("春", "夏", "秋", "冬"),
)

_DAY, _MONTH = ("day", "days", "哪一天"), ("month", "months", "哪个月")
_FRUIT, _ANIMAL = ("fruit", "fruits", "哪种水果"), ("animal", "animals", "哪种动物")
_SEASON, _CITY = ("season", "seasons", "哪个季节"), ("city", "cities", "哪个城市")
_SPORT, _SUBJECT = ("sport", "sports", "哪项运动"), ("subject", "subjects", "哪个科目")
_PERSON, _STUDENT = ("person", "people", "哪个人"), ("student", "students", "哪个学生")
_CLASS, _ANY = ("class", "classes", "哪个班"), ("category", "categories", "哪一项")
NOUNS: tuple[tuple[str, str, str], ...] = (
    _DAY, _DAY, _MONTH, _MONTH, ("quarter", "quarters", "哪个季度"), ("year", "years", "哪一年"),
    ("letter", "letters", "哪个字母"), ("letter", "letters", "哪个字母"), _FRUIT, _FRUIT, _ANIMAL,
    _ANIMAL, ("color", "colors", "哪种颜色"), _PERSON, _STUDENT, _SUBJECT, _SPORT,
    ("country", "countries", "哪个国家"), _CITY, ("region", "regions", "哪个地区"),
    ("means of transport", "vehicles", "哪种交通工具"), ("drink", "drinks", "哪种饮料"), _SEASON,
    ("product", "products", "哪种商品"), ("food", "foods", "哪种食物"), ("week", "weeks", "哪一周"),
    _DAY, _CLASS, ("team", "teams", "哪个队"), _ANY,
)  # fmt: skip
"""What the names of each of CATEGORIES are: one, several, and "which one" in Chinese."""
CHINESE_NOUNS: tuple[tuple[str, str, str], ...] = (
    _FRUIT, _DAY, _DAY, _MONTH, _MONTH, ("group", "groups", "哪个组"), _SUBJECT, _PERSON, _CITY,
    _SPORT, _ANIMAL, _CLASS, _SEASON,
)  # fmt: skip
LOOSE_NOUNS: tuple[tuple[str, str, str], ...] = (
    ("item", "items", "哪一项"), ("option", "options", "哪个选项"),
    ("product", "products", "哪种产品"), ("group", "groups", "哪个组"),
    ("company", "companies", "哪家公司"), ("store", "stores", "哪家店"),
    ("type", "types", "哪一类"), ("brand", "brands", "哪个品牌"), ("name", "names", "哪个名称"),
)  # fmt: skip
"""What any names may be."""
DISTANT_NOUNS: tuple[tuple[str, str, str], ...] = (
    ("planet", "planets", "哪颗行星"), ("mountain", "mountains", "哪座山"),
    ("river", "rivers", "哪条河"), ("ocean", "oceans", "哪个大洋"),
    ("continent", "continents", "哪个大洲"), ("lake", "lakes", "哪个湖"),
    ("language", "languages", "哪种语言"), ("movie", "movies", "哪部电影"),
    ("island", "islands", "哪个岛"), ("bridge", "bridges", "哪座桥"),
    ("building", "buildings", "哪座建筑"), ("tree", "trees", "哪种树"),
    ("dinosaur", "dinosaurs", "哪种恐龙"), ("desert", "deserts", "哪个沙漠"),
    ("ship", "ships", "哪艘船"), ("element", "elements", "哪种元素"),
    ("insect", "insects", "哪种昆虫"), ("phone", "phones", "哪部手机"), ("car", "cars", "哪辆车"),
    ("house", "houses", "哪座房子"), ("photo", "photos", "哪张照片"),
)  # fmt: skip
"""What no chart here compares."""

TITLES = (
    "Sales", "Sales by month", "Visitors", "Favorite fruit", "Test scores", "Number of students",
    "Rainfall",
    "Temperature", "Votes", "Books read", "Goals scored", "Survey results", "Production", "Points",
    "Units sold",
    "Score", "Count", "Amount", "Value", "Revenue", "Attendance", "Pets owned", "Monthly totals",
    "Results",
)  # fmt: skip
CHINESE_TITLES = ("销售量", "人数", "成绩", "得票数", "数量", "产量", "统计图")

COLORS: tuple[tuple[str, str], ...] = (
    ("red", "红色"), ("blue", "蓝色"), ("green", "绿色"), ("yellow", "黄色"), ("orange", "橙色"),
    ("purple", "紫色"), ("pink", "粉色"), ("black", "黑色"), ("gray", "灰色"), ("brown", "棕色"),
)  # fmt: skip
KINDS: tuple[tuple[str, str, str], ...] = (
    ("circle", "circles", "圆形"), ("square", "squares", "正方形"), ("triangle", "triangles",
    "三角形"),
    ("star", "stars", "五角星"), ("diamond", "diamonds", "菱形"), ("rectangle", "rectangles",
    "长方形"),
    ("pentagon", "pentagons", "五边形"), ("hexagon", "hexagons", "六边形"), ("oval", "ovals",
    "椭圆"),
)  # fmt: skip

CHINESE_WORDS = tuple(w for group in CHINESE_CATEGORIES for w in group) + CHINESE_TITLES
"""Every Chinese word that a picture may show; the Chinese fonts are cut down to these."""
